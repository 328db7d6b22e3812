"""Making, rotating and revoking API keys. The text of a key leaves this module once and is stored nowhere.

Servers keep what they know of a key for at most `keys.CACHE_SECONDS`, so a revocation is felt everywhere within 5 s.
"""

from datetime import datetime, timedelta

from django.db import transaction

from events import keys
from events.models import ApiKey, Environment, Organization, User


class NotRotatable(Exception):
    """The key cannot be replaced; the message is a sentence for people."""


def create(
    *,
    organization: Organization,
    name: str,
    environment: Environment,
    scopes: list[str],
    expires_at: datetime | None,
    created_by: User | None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key; returns its row and its text, which cannot be had a second time."""
    key = ApiKey(
        organization=organization, name=name, environment=environment, scopes=sorted(scopes), expires_at=expires_at
    )
    return key, issue(key=key, created_by=created_by, now=now)


def issue(*, key: ApiKey, created_by: User | None, now: datetime) -> str:
    """Give a row that is not saved yet its secret, save it, and return the key's text."""
    text = keys.generate(Environment(key.environment).label)
    key.prefix, key.last4, key.sha256 = text[: keys.SHOWN_CHARACTERS], text[-4:], keys.digest(text)
    key.created_by, key.created_at = created_by, now
    key.save(force_insert=True)
    return text


def rotate(*, key: ApiKey, overlap: timedelta, created_by: User | None, now: datetime) -> tuple[ApiKey, str]:
    """Make a second key with the same name, scopes and environment, and let the old one live for `overlap` more.

    The old key never lives longer than it would have; no overlap revokes it at once. A key that expires is followed
    by one with as long a life. Raises NotRotatable for a key that is not accepted any more or was replaced before.
    """
    with transaction.atomic():
        old = ApiKey.objects.select_for_update(of=("self",)).select_related("organization").get(pk=key.pk)
        if refusal := rotation_refusal(old, now):
            raise NotRotatable(refusal)
        new, text = create(
            organization=old.organization,
            name=old.name,
            environment=Environment(old.environment),
            scopes=old.scopes,
            expires_at=None if old.expires_at is None else now + (old.expires_at - old.created_at),
            created_by=created_by,
            now=now,
        )
        old.replaced_by = new
        if overlap > timedelta(0):
            old.expires_at = min(now + overlap, old.expires_at or now + overlap)
        else:
            old.revoked_at = now
        old.save(update_fields=["replaced_by", "expires_at", "revoked_at"])
    key.replaced_by, key.expires_at, key.revoked_at = new, old.expires_at, old.revoked_at
    return new, text


def rotation_refusal(key: ApiKey, now: datetime) -> str | None:
    """Why the key cannot be rotated at `now`, as a sentence; None when it can."""
    if key.revoked_at is not None:
        return "This key was revoked; create a new one."
    if key.expires_at is not None and key.expires_at <= now:
        return "This key has expired; create a new one."
    if key.replaced_by_id is not None:
        return "This key was rotated before; rotate the key that replaced it."
    return None


def revoke(*, key: ApiKey, now: datetime) -> bool:
    """Refuse the key from `now` on; returns False when it was revoked before, which then keeps its time."""
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    key.refresh_from_db(fields=["revoked_at"])
    return bool(changed)


def find_by_prefix_or_key(text: str) -> list[ApiKey]:
    """Keys that are meant by a full key, by the 15 shown characters, or by `org_live_ab12cd…wxyz` as pages show it.

    Several only when the shown characters are shared. A full key with a slip in it finds nothing: its beginning
    could be another key's.
    """
    text = text.strip()
    found = ApiKey.objects.select_related("organization")
    if keys.is_well_formed(text):
        return list(found.filter(sha256=keys.digest(text)))
    prefix, _, last4 = text.partition("…")
    if len(prefix) != keys.SHOWN_CHARACTERS:
        return []
    return list(found.filter(prefix=prefix, **({"last4": last4} if last4 else {})))


def shown(key: ApiKey) -> str:
    """What people see of a key: its first 15 and its last 4 characters."""
    return f"{key.prefix}…{key.last4}"


def status(key: ApiKey, now: datetime) -> str:
    """Whether the key is accepted at `now`, in a few words; times are UTC."""
    if key.revoked_at is not None:
        return "revoked"
    replaced = key.replaced_by_id is not None
    if key.expires_at is not None and key.expires_at <= now:
        return "replaced" if replaced else "expired"
    until = f"{key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else ""
    if replaced:
        return f"replaced, works until {until}" if until else "replaced"
    return f"expires {until}" if until else "active"
