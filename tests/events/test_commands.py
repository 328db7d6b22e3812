import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from events import keys, rollups
from events.management.commands.create_api_key import parse_expiry
from events.models import ApiKey, Environment, Membership, Organization, Role, User
from tests.factories import PASSWORD, ApiKeyFactory, MembershipFactory, OrganizationFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 5, 10, tzinfo=UTC)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def create_acme(*more: str, owner: str = "ann@example.com") -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(run("create_organization", "Acme", "--slug", "acme", "--owner", owner, *more))
    return printed


def test_create_organization() -> None:
    printed = create_acme("--timezone", "Europe/Berlin")
    organization, owner = Organization.objects.get(), User.objects.get()
    password = printed.pop("password")
    assert printed == {
        "id": organization.pk,
        "slug": "acme",
        "name": "Acme",
        "timezone": "Europe/Berlin",
        "owner": "ann@example.com",
        "created": True,
    }
    assert owner.check_password(password)
    assert (owner.is_staff, owner.is_superuser) == (True, False)
    assert Membership.objects.get().role == Role.OWNER


def test_a_given_password_is_used_and_not_printed() -> None:
    assert "password" not in create_acme("--password", "hunter2hunter2")
    assert User.objects.get().check_password("hunter2hunter2")


def test_create_organization_again_changes_nothing() -> None:
    first = create_acme("--timezone", "Asia/Tokyo")
    password = first.pop("password")
    assert create_acme("--password", "another one", owner="ANN@example.com") == first | {"created": False}
    assert User.objects.get().check_password(password)
    assert Membership.objects.count() == 1


def test_somebody_who_has_an_account_keeps_their_password() -> None:
    UserFactory(email="Ann@example.com")
    printed = create_acme("--password", "another one")
    assert (printed["owner"], printed.get("password")) == ("Ann@example.com", None)
    owner = User.objects.get()
    assert owner.check_password(PASSWORD)
    assert owner.is_staff


def test_superuser_flag_makes_the_operator_and_is_never_taken_away() -> None:
    create_acme("--superuser")
    create_acme()
    assert User.objects.get().is_superuser


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["", "--slug", "acme", "--owner", "a@example.com"], "NAME:"),
        (["A", "--slug", "a b", "--owner", "a@example.com"], "--slug:"),
        (["A", "--slug", "acme", "--owner", "a"], "--owner:"),
        (["A", "--slug", "acme", "--owner", "a@example.com", "--timezone", "Mars"], "--timezone: Mars"),
        (["A", "--slug", "acme", "--owner", "a@example.com", "--password", ""], "--password:"),
        (["A", "--slug", "taken", "--owner", "a@example.com"], "--owner:"),
    ],
)
def test_create_organization_names_the_wrong_argument(arguments: list[str], named: str) -> None:
    MembershipFactory(organization__slug="taken", role=Role.OWNER)
    with pytest.raises(CommandError, match=named):
        run("create_organization", *arguments)
    assert Organization.objects.count() == User.objects.count() == 1


def test_create_api_key_prints_only_the_key() -> None:
    organization = OrganizationFactory(slug="acme")
    printed = run("create_api_key", "acme", "--name", "chat")
    key = ApiKey.objects.get()
    assert keys.is_well_formed(printed.removesuffix("\n"))
    assert keys.digest(printed.strip()) == bytes(key.sha256)
    assert (key.organization, key.name, key.scopes) == (organization, "chat", ["events:write"])
    assert (key.environment, key.expires_at) == (Environment.LIVE, None)


def test_create_api_key_takes_scopes_environment_and_expiry() -> None:
    OrganizationFactory(slug="acme")
    options = ["--scope", "read", "--scope", "usage:write", "--scope", "read", "--environment", "test"]
    printed = run("create_api_key", "acme", "--name", "chat", *options, "--expires", "30d")
    key = ApiKey.objects.get()
    assert printed.startswith("org_test_")
    assert (key.scopes, key.environment) == (["read", "usage:write"], Environment.TEST)
    assert key.expires_at == key.created_at + timedelta(days=30)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nobody", "--name", "x"], "SLUG: there is no organization 'nobody'"),
        (["acme", "--name", " "], "--name:"),
        (["acme", "--name", "x" * 101], "--name:"),
        (["acme", "--name", "x", "--scope", "all"], "--scope"),
        (["acme", "--name", "x", "--environment", "staging"], "--environment"),
        (["acme", "--name", "x", "--expires", "soon"], "--expires:"),
        (["acme", "--name", "x", "--expires", "2020-01-01"], "--expires:"),
    ],
)
def test_create_api_key_names_the_wrong_argument(arguments: list[str], named: str) -> None:
    OrganizationFactory(slug="acme")
    with pytest.raises(CommandError, match=named):
        run("create_api_key", *arguments)
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("text", "expires_at"),
    [
        ("30d", datetime(2026, 6, 4, 10, tzinfo=UTC)),
        ("12h", datetime(2026, 5, 5, 22, tzinfo=UTC)),
        ("5m", datetime(2026, 5, 5, 10, 5, tzinfo=UTC)),
        ("2026-12-01", datetime(2026, 11, 30, 23, tzinfo=UTC)),
        ("2026-07-01T00:00", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-07-01T00:00Z", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T00:00-05:00", datetime(2026, 7, 1, 5, tzinfo=UTC)),
    ],
)
def test_parse_expiry(text: str, expires_at: datetime) -> None:
    assert parse_expiry(text, ZoneInfo("Europe/Berlin"), NOW) == expires_at


@pytest.mark.parametrize(
    "text",
    [
        "",
        "30",
        "d",
        "-1d",
        "1y",
        "0d",
        "9999999d",
        "999999999d",
        "2026-02-30",
        "2026-05-05T10:00Z",
        "9999-12-31T23:59-12:00",
    ],
)
def test_parse_expiry_refuses(text: str) -> None:
    with pytest.raises(CommandError, match="--expires:"):
        parse_expiry(text, ZoneInfo("UTC"), NOW)


@pytest.mark.parametrize("given", [lambda key: key.prefix, lambda key: key.text], ids=["prefix", "key"])
def test_revoke_api_key(given: Callable[[Any], str]) -> None:
    key, other = ApiKeyFactory(), ApiKeyFactory()
    printed = run("revoke_api_key", given(key))
    assert key.prefix in printed
    assert printed.endswith(".\n")
    assert key.text not in printed
    assert set(ApiKey.objects.filter(revoked_at=None)) == {other}
    assert "was revoked before" in run("revoke_api_key", given(key))


def test_revoke_api_key_that_is_not_there() -> None:
    leaked = keys.generate("live")
    with pytest.raises(CommandError, match="PREFIX: there is no API key") as refused:
        run("revoke_api_key", leaked)
    assert refused.value.returncode == 1
    assert leaked not in str(refused.value)


def test_revoke_api_key_by_a_shared_prefix_lists_them_and_revokes_none() -> None:
    pair = [ApiKeyFactory(prefix="org_live_shared", name=name) for name in ("one", "two")]
    with pytest.raises(CommandError, match="PREFIX: 2 API keys") as refused:
        run("revoke_api_key", "org_live_shared")
    for key in pair:
        assert f"{key.prefix}…{key.last4}  {key.name}" in str(refused.value)
    assert ApiKey.objects.filter(revoked_at=None).count() == 2
    run("revoke_api_key", f"{pair[0].prefix}…{pair[0].last4}")
    assert list(ApiKey.objects.filter(revoked_at=None)) == [pair[1]]


@pytest.mark.parametrize(("events", "said"), [(0, "0 events"), (1, "1 event."), (12345, "12,345 events")])
def test_rebuild_usage(events: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "rebuild", lambda: events)
    assert said in run("rebuild_usage")


def test_audit_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "audit", list)
    assert run("audit") == "All usage agrees with the events.\n"


def test_audit_prints_what_differs_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "audit", lambda: ["one differs", "two differs"])
    out = StringIO()
    with pytest.raises(CommandError, match="2 sums differ") as failed:
        call_command("audit", stdout=out)
    assert failed.value.returncode == 1
    assert out.getvalue() == "one differs\ntwo differs\n"
