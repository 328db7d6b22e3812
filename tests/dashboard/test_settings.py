"""The settings: who sees and who changes what, what a form answers, and that a password is shown once."""

import re
from datetime import datetime
from pathlib import Path

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.forms import time_zones
from events.models import Membership, Organization, Role, TimeZoneChange, User
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import Call, store_events
from tests.factories import PASSWORD, MembershipFactory, OrganizationFactory, UserFactory

TABS = ("/settings/", "/settings/members/", "/settings/account/")
NEW_PASSWORD = "a quiet harbour at dawn"


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return str(response.content.decode())


def token(client: Client) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', text(client, "/settings/members/"))
    assert found
    return found[1]


@pytest.fixture
def colleague(organization: Organization) -> Membership:
    made: Membership = MembershipFactory(organization=organization, role=Role.VIEWER, user__email="bo@example.com")
    return made


@pytest.mark.parametrize("role", Role)
def test_all_members_read_and_owners_and_admins_change(
    organization: Organization, sign_in: SignIn, colleague: Membership, role: Role
) -> None:
    MembershipFactory(organization=organization, role=Role.OWNER, user__name="Ola Owner")
    client, member = sign_in(organization, role), f"/settings/members/{colleague.pk}"
    may_edit = role in (Role.OWNER, Role.ADMIN)
    shown, members = text(client, "/settings/"), text(client, "/settings/members/")
    assert ('action="/settings/"' in shown) is ('action="/settings/members/"' in members) is may_edit
    assert ("ask Ola Owner" in shown) is ("ask Ola Owner" in members) is not may_edit
    assert "bo@example.com" in members
    assert (f'action="{member}/role/"' in members) is (f'href="{member}/remove/"' in members) is may_edit
    answers = [
        client.post("/settings/", {"name": "Southwind", "time_zone": "UTC"}),
        client.post("/settings/members/", {"email": "x@example.com", "role": "viewer"}),
        client.post(f"{member}/role/", {"role": "member"}),
        client.get(f"{member}/remove/"),
        client.post(f"{member}/remove/"),
    ]
    assert [one.status_code for one in answers] == ([302, 422, 302, 200, 302] if may_edit else [403] * 5)
    assert all(("Not allowed" in one.content.decode()) is not may_edit for one in answers)
    assert Membership.objects.filter(pk=colleague.pk).exists() is not may_edit
    organization.refresh_from_db()
    assert organization.name == ("Southwind" if may_edit else "Northwind")


def test_members_of_another_organization_are_not_there(
    organization: Organization, sign_in: SignIn, colleague: Membership
) -> None:
    stranger = sign_in(OrganizationFactory(), Role.OWNER)
    for what in ("role", "remove"):
        response = stranger.post(f"/settings/members/{colleague.pk}/{what}/", {"role": "owner"})
        assert response.status_code == 404
    assert "bo@example.com" not in text(stranger, "/settings/members/")
    assert Membership.objects.get(pk=colleague.pk).role == Role.VIEWER


def test_the_time_zone_is_changed_and_its_progress_is_said(
    organization: Organization, sign_in: SignIn, now: datetime
) -> None:
    admin = sign_in(organization, Role.ADMIN)
    store_events(organization, [Call(at=now)])
    refused = admin.post("/settings/", {"name": "", "time_zone": "Mars/Olympus"})
    assert refused.status_code == 422
    shown = refused.content.decode()
    assert "<title>Error: Organization · Settings" in shown
    for sentence in ("Give the organization a name.", "Mars/Olympus is not in the list: choose a zone from it."):
        assert sentence in shown
    assert not TimeZoneChange.objects.exists()
    assert "every 2s" not in text(admin, "/settings/")
    answer = admin.post("/settings/", {"name": "Northwind", "time_zone": "Asia/Kolkata"}, follow=True)
    assert "the past is being counted anew" in answer.content.decode()
    TimeZoneChange.objects.update(done=10, total=40)
    viewer = sign_in(organization, Role.VIEWER)
    shown = text(viewer, "/settings/")
    assert "10 of 40 requests are counted anew" in shown
    [poll] = re.findall(r'hx-get="([^"]+)"', shown)
    assert viewer.get(poll, headers=htmx("zone-progress")).status_code == 204
    TimeZoneChange.objects.update(finished_at=now)
    over = viewer.get(poll, headers=htmx("zone-progress")).content.decode()
    assert "All figures now stand in the new time zone." in over
    assert "every 2s" not in over


def test_the_list_of_zones_holds_places_utc_and_the_one_in_use() -> None:
    def values(current: str) -> list[str]:
        return [
            zone
            for value, label in time_zones(current)
            for zone in ([value] if isinstance(label, str) else dict(label))
        ]

    assert {"UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"} <= set(values("UTC"))
    assert "EST5EDT" not in values("UTC")
    assert values("EST5EDT")[:2] == ["UTC", "EST5EDT"]
    assert len(values("Europe/Berlin")) == len(set(values("Europe/Berlin"))) == len(values("UTC"))


def test_a_new_member_s_password_is_shown_once(organization: Organization, sign_in: SignIn) -> None:
    owner = sign_in(organization, Role.OWNER)
    sent = {"email": "nia@example.com", "name": "<b>Nia</b>", "role": "member", "form_token": token(owner)}
    response = owner.post("/settings/members/", sent)
    shown = response.content.decode()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "&lt;b&gt;Nia&lt;/b&gt; (nia@example.com) is Member now" in shown
    [password] = set(re.findall(r"<code>([\w-]{16})</code>", shown))
    assert Client().login(username="nia@example.com", password=password)
    again = owner.post("/settings/members/", sent)
    assert again.status_code == 422
    assert "This form was sent before" in again.content.decode()
    for page in (again.content.decode(), text(owner, "/settings/members/")):
        assert password not in page
    assert User.objects.filter(email="nia@example.com").count() == 1
    known = UserFactory()
    sent = {"email": known.email, "role": "viewer", "form_token": token(owner)}
    assert "They have an account already" in owner.post("/settings/members/", sent).content.decode()


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"email": "", "role": "viewer"}, "Give the e-mail address"),
        ({"email": "no address", "role": "viewer"}, "This is not an e-mail address"),
        ({"email": "bo@example.com", "role": "viewer"}, "a member already"),
        ({"email": "x@example.com", "role": "owner"}, "Select a valid choice"),
        ({"email": "x@example.com", "role": "viewer", "form_token": "unknown"}, "open for too long"),
    ],
)
def test_what_is_wrong_with_a_new_member_is_said(
    organization: Organization, sign_in: SignIn, colleague: Membership, sent: dict[str, str], sentence: str
) -> None:
    admin = sign_in(organization, Role.ADMIN)
    response = admin.post("/settings/members/", {"form_token": token(admin)} | sent)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert Membership.objects.filter(organization=organization).count() == 2


def test_an_admin_cannot_touch_owners_and_the_last_owner_stays(organization: Organization, sign_in: SignIn) -> None:
    owner = sign_in(organization, Role.OWNER)
    membership = Membership.objects.get(role=Role.OWNER)
    admin, path = sign_in(organization, Role.ADMIN), f"/settings/members/{membership.pk}"
    assert path not in text(admin, "/settings/members/")
    for client, sentence in ((admin, "Only an owner can"), (owner, "keeps at least one active owner")):
        for answer in (client.post(f"{path}/role/", {"role": "viewer"}), client.post(f"{path}/remove/")):
            assert answer.status_code == 422
            assert sentence in answer.content.decode()
    assert owner.post(f"{path}/role/", {"role": "king"}).status_code == 422
    membership.refresh_from_db()
    assert membership.role == Role.OWNER


def test_a_password_change_keeps_this_session_and_ends_the_others(organization: Organization, data_dir: Path) -> None:
    person = MembershipFactory(organization=organization, role=Role.VIEWER).user
    here, elsewhere = Client(), Client()
    here.force_login(person)
    elsewhere.force_login(person)

    def change(old: str, new: str, repeated: str = "") -> tuple[int, str]:
        sent = {"old_password": old, "new_password1": new, "new_password2": repeated or new}
        response = here.post("/settings/account/password/", sent)
        assert new not in response.content.decode()
        return response.status_code, response.content.decode()

    for given, sentence in (
        (("wrong", NEW_PASSWORD), "Your old password was entered incorrectly"),
        ((PASSWORD, "tiny!"), "too short"),
        ((PASSWORD, NEW_PASSWORD, "another one altogether"), "didn’t match"),
    ):
        status, shown = change(*given)
        assert status == 422
        assert sentence in shown
    assert here.get("/settings/account/password/").status_code == 302
    assert change(PASSWORD, NEW_PASSWORD)[0] == 302
    assert "Your password is changed." in text(here, "/settings/account/")
    assert elsewhere.get("/settings/account/").status_code == 302
    assert Client().login(username=person.email, password=NEW_PASSWORD)
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == ["Changed their password."]
    for _ in range(10):
        assert change("wrong", "another quiet harbour")[0] == 422
    assert "Too many failed tries" in change(NEW_PASSWORD, "another quiet harbour")[1]


def test_one_s_own_name_theme_and_keys(organization: Organization, sign_in: SignIn) -> None:
    client = sign_in(organization, Role.VIEWER)
    assert client.post("/settings/account/", {"name": "Vi Viewer"}).status_code == 302
    assert client.post("/settings/account/", {"name": "x" * 151}).status_code == 422
    assert User.objects.get().name == "Vi Viewer"
    assert LogEntry.objects.count() == 1
    assert 'data-keys="on"' in text(client, "/")
    assert client.post("/settings/account/keyboard/", {"keys": "off"}).status_code == 302
    for path in ("/", *TABS):
        assert 'data-keys="off"' in text(client, path)
    client.post("/settings/account/keyboard/", {"keys": "sideways"})
    assert client.cookies["keys"].value == "off"
    client.post("/theme/", {"theme": "dark", "next": "/settings/account/"})
    assert 'value="dark" aria-current="true"' in text(client, "/settings/account/")


@pytest.mark.parametrize("path", TABS)
def test_nobody_is_sent_to_sign_in(db: None, path: str) -> None:
    assert Client().get(path)["Location"] == f"/sign-in/?next={path}"
    assert Client().post(path).status_code == 302


def test_the_number_of_queries_does_not_grow_with_members(organization: Organization, sign_in: SignIn) -> None:
    owner, counts = sign_in(organization, Role.OWNER), []
    for _ in range(2):
        MembershipFactory.create_batch(8, organization=organization)
        with CaptureQueriesContext(connection) as queries:
            text(owner, "/settings/members/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10
