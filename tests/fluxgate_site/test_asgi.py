"""Which paths are answered natively, and what Django is told of a request whose body has been read."""

import pytest

from fluxgate_site.asgi import Application, _headers_of

NATIVE = {
    "/api/events": True,
    "/api/events/": True,
    "/api/events/batch": True,
    "/api/v1/price": True,
    "/api/v1/sdk/track": True,
    "/api/": True,
    "/api/nothing": True,
    "/api/docs/x": True,
    "/api/v1": True,
    "/api/v2/meters": True,
    "/api/docs": False,
    "/api/openapi.json": False,
    "/api/v1/": False,
    "/api/v1/meters": False,
    "/api/v1/price/x": False,
    "/api/v1/sdk": False,
    "/": False,
    "/apis": False,
    "/requests/": False,
}


@pytest.mark.parametrize("path", NATIVE)
def test_the_rest_api_and_pages_are_djangos_the_rest_is_native(path: str) -> None:
    assert Application()._is_native(path) is NATIVE[path]


def test_django_is_told_of_the_body_as_it_was_unpacked() -> None:
    sent = [
        (b"host", b"localhost"),
        (b"content-encoding", b"gzip"),
        (b"content-length", b"7"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2; c=3"),
    ]
    assert _headers_of({"headers": sent}, b"x" * 100) == [
        (b"host", b"localhost"),
        (b"cookie", b"a=1; b=2; c=3"),
        (b"content-length", b"100"),
    ]
    chunked = [(b"transfer-encoding", b"chunked")]
    assert _headers_of({"headers": chunked}, b"xy") == [(b"content-length", b"2")]
