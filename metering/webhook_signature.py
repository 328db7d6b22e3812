"""Signatures of webhooks as the Standard Webhooks specification has them (standardwebhooks.com). Pure."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 24


def new_secret() -> str:
    """A secret for one endpoint: `whsec_` and 24 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers(secret: str, message_id: UUID, sent_at: datetime, body: bytes) -> dict[str, str]:
    """What tells a message's receiver that it is ours, unchanged and new. The id stays when it is sent again."""
    name, seconds = f"msg_{message_id.hex}", str(int(sent_at.timestamp()))
    return {
        "webhook-id": name,
        "webhook-timestamp": seconds,
        "webhook-signature": signature(secret, name, seconds, body),
    }


def signature(secret: str, name: str, seconds: str, body: bytes) -> str:
    """Version 1 of the specification's signatures."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.digest(key, f"{name}.{seconds}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"
