from datetime import UTC, datetime, timedelta

import pytest

from events import api_keys, keys
from events.models import ApiKey, Environment, Scope
from tests.factories import ApiKeyFactory, OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 5, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def make(**values: object) -> tuple[ApiKey, str]:
    wanted = {
        "organization": OrganizationFactory(),
        "name": "chat",
        "environment": Environment.TEST,
        "scopes": [Scope.READ.value, Scope.EVENTS_WRITE.value],
        "expires_at": None,
        "created_by": UserFactory(),
        "now": NOW,
    }
    return api_keys.create(**(wanted | values))  # type: ignore[arg-type]


def test_create_returns_the_key_and_stores_its_digest_only() -> None:
    key, text = make(expires_at=NOW + DAY)
    stored = ApiKey.objects.get()
    assert keys.is_well_formed(text)
    assert text.startswith("org_test_")
    assert (stored.prefix, stored.last4, bytes(stored.sha256)) == (text[:15], text[-4:], keys.digest(text))
    assert (stored.scopes, stored.environment) == (["events:write", "read"], Environment.TEST)
    assert (stored.created_at, stored.expires_at, stored.created_by) == (NOW, NOW + DAY, key.created_by)
    assert text not in str(ApiKey.objects.values().get())


@pytest.mark.parametrize(
    ("own_expiry", "overlap", "old_expiry", "revoked"),
    [
        (None, timedelta(0), None, True),
        (None, HOUR, HOUR, False),
        (None, 7 * DAY, 7 * DAY, False),
        (2 * DAY, HOUR, HOUR, False),
        (2 * DAY, 7 * DAY, 2 * DAY, False),
        (2 * DAY, timedelta(0), 2 * DAY, True),
    ],
)
def test_rotate(own_expiry: timedelta | None, overlap: timedelta, old_expiry: timedelta | None, revoked: bool) -> None:
    old, old_text = make(expires_at=own_expiry and NOW + own_expiry)
    person = UserFactory()
    new, text = api_keys.rotate(key=old, overlap=overlap, created_by=person, now=NOW)
    stored = ApiKey.objects.get(pk=old.pk)
    assert stored.replaced_by == new
    assert stored.expires_at == (old_expiry and NOW + old_expiry)
    assert stored.revoked_at == (NOW if revoked else None)
    assert (old.replaced_by, old.expires_at, old.revoked_at) == (new, stored.expires_at, stored.revoked_at)
    assert text != old_text
    assert bytes(ApiKey.objects.get(pk=new.pk).sha256) == keys.digest(text)
    for name in ("organization_id", "name", "environment", "scopes"):
        assert getattr(new, name) == getattr(old, name)
    assert (new.created_by, new.created_at, new.revoked_at) == (person, NOW, None)


def test_the_successor_of_a_key_that_expires_lives_as_long_as_that_did() -> None:
    old, _ = make(expires_at=NOW + 30 * DAY)
    new, _ = api_keys.rotate(key=old, overlap=HOUR, created_by=None, now=NOW + 20 * DAY)
    assert new.expires_at == NOW + 50 * DAY


@pytest.mark.parametrize("state", ["revoked", "expired", "replaced"])
def test_a_key_that_is_over_cannot_be_rotated(state: str) -> None:
    old, _ = make(expires_at=NOW + DAY)
    now = NOW + HOUR
    if state == "revoked":
        api_keys.revoke(key=old, now=NOW)
    elif state == "expired":
        now = NOW + DAY
    else:
        api_keys.rotate(key=ApiKey.objects.get(), overlap=7 * DAY, created_by=None, now=NOW)
    before = list(ApiKey.objects.values())
    with pytest.raises(api_keys.NotRotatable, match=r"\.$"):
        api_keys.rotate(key=old, overlap=HOUR, created_by=None, now=now)
    assert list(ApiKey.objects.values()) == before


def test_revoking_twice_keeps_the_first_time() -> None:
    key, _ = make()
    assert api_keys.revoke(key=key, now=NOW)
    assert not api_keys.revoke(key=key, now=NOW + DAY)
    assert key.revoked_at == ApiKey.objects.get().revoked_at == NOW


def test_a_key_is_found_by_what_people_have_of_it() -> None:
    key, text = make()
    make()
    for given in (text, f" {text}\n", text[:15], api_keys.shown(key)):
        assert api_keys.find_by_prefix_or_key(given) == [key]


def test_what_does_not_identify_a_key_finds_none() -> None:
    _, text = make()
    slip = text[:-1] + ("a" if text[-1] != "a" else "b")
    for given in ("", "…", text[:14], text[:16], slip, text[:15] + "…none", keys.generate("test"), "%" * 15):
        assert api_keys.find_by_prefix_or_key(given) == []


def test_a_shared_prefix_finds_all_and_the_last_characters_decide() -> None:
    one, two = ApiKeyFactory(prefix="org_live_shared"), ApiKeyFactory(prefix="org_live_shared")
    assert set(api_keys.find_by_prefix_or_key("org_live_shared")) == {one, two}
    assert api_keys.find_by_prefix_or_key(api_keys.shown(two)) == [two]
    assert api_keys.find_by_prefix_or_key(one.text) == [one]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, "active"),
        ({"expires_at": NOW + DAY}, "expires 2026-05-06 10:00 UTC"),
        ({"expires_at": NOW}, "expired"),
        ({"revoked_at": NOW}, "revoked"),
        ({"revoked_at": NOW, "expires_at": NOW - DAY, "replaced_by_id": 1}, "revoked"),
        ({"replaced_by_id": 1, "expires_at": NOW + DAY}, "replaced, works until 2026-05-06 10:00 UTC"),
        ({"replaced_by_id": 1, "expires_at": NOW}, "replaced"),
        ({"replaced_by_id": 1}, "replaced"),
    ],
)
def test_status(values: dict[str, object], status: str) -> None:
    assert api_keys.status(ApiKey(**values), NOW) == status
