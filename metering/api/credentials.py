"""What a request shows to be let in, and whether a browser sent it from a page of ours. Pure: headers in, words out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from events import keys

ACCESS_COOKIE: Final = "access_token"
REFRESH_COOKIE: Final = "refresh_token"
_COOKIE_NAMES: Final = re.compile(r"(?:^|[;,])\s*([^=;,\s]+)\s*=")


class Kind(Enum):
    """How it came. Browsers send cookies by themselves, so only those need to be checked for where they come from."""

    COOKIE = "cookie"
    BEARER = "bearer"
    API_KEY = "api key"


@dataclass(frozen=True, slots=True)
class Credential:
    """An access token or an API key, not looked at yet."""

    kind: Kind
    text: str


class Unusable(Exception):
    """Nothing was shown, or things that contradict each other; the message is a sentence for the caller."""


def read(headers: Mapping[str, str], cookies: Mapping[str, str]) -> Credential:
    """The one credential of a request: a header goes before the cookie. Raises Unusable."""
    authorization, api_key = headers.get("Authorization", ""), headers.get("X-API-Key", "").strip()
    if authorization:
        kind, _, text = authorization.partition(" ")
        text = text.strip()
        if kind.lower() != "bearer" or not text:
            raise Unusable("the Authorization header must be `Bearer` and an access token or an API key")
        if api_key and api_key != text:
            raise Unusable("the headers Authorization and X-API-Key contradict each other")
        return Credential(Kind.API_KEY if text.startswith(keys.PREFIXES) else Kind.BEARER, text)
    if api_key:
        return Credential(Kind.API_KEY, api_key)
    if ACCESS_COOKIE not in cookies:
        raise Unusable("sign in with POST /api/v1/auth/login, or send an API key with the scope read")
    if sent_twice(headers.get("Cookie", ""), ACCESS_COOKIE):
        raise Unusable(f"there are two cookies {ACCESS_COOKIE}; sign in anew")
    return Credential(Kind.COOKIE, cookies[ACCESS_COOKIE])


def sent_twice(cookie_header: str, name: str) -> bool:
    """Whether the cookie occurs more than once: one of them was put there by another site, and none can be told."""
    return _COOKIE_NAMES.findall(cookie_header).count(name) > 1


def is_own_origin(headers: Mapping[str, str], own: tuple[str, ...]) -> bool:
    """Whether a browser says that a page of one of the origins (`https://host`) sent this. Without a word of a
    browser's it is a program, which holds its cookies itself."""
    if headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        return False
    origin = headers.get("Origin")
    return origin is None or origin in {origin_of(url) for url in own}


def origin_of(url: str) -> str:
    """Scheme, host and port, as browsers write an origin."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
