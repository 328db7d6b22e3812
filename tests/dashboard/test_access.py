"""Who gets in: members of each role, strangers, nobody; signing in and out; switching organizations."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from dashboard import sign_in_throttle
from dashboard.access import MemberRequest, member_required
from events.models import Membership, Organization, Role
from events.models.event import public_id
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import Call, store_events
from tests.factories import PASSWORD, MembershipFactory, OrganizationFactory, UserFactory

PAGES = (
    "/",
    "/requests/",
    "/requests/{event}/",
    "/costs/",
    "/costs/?by=user",
    "/costs/user/?user=secret-user",
    "/costs/feature/?feature=secret-feature",
    "/rejected/",
    "/pricing/",
    "/pricing/openai/gpt-4o/",
)


@pytest.fixture
def event(organization: Organization, now: datetime) -> str:
    return public_id(store_events(organization, [Call(at=now, feature="secret-feature", user="secret-user")])[0])


@pytest.mark.parametrize("path", PAGES)
def test_each_role_reads_the_pages_and_a_stranger_sees_nothing_of_them(
    organization: Organization, sign_in: SignIn, event: str, now: datetime, path: str
) -> None:
    for role in Role:
        assert sign_in(organization, role).get(path.format(event=event)).status_code == 200
    elsewhere = OrganizationFactory()
    store_events(elsewhere, [Call(at=now)])
    response = sign_in(elsewhere).get(path.format(event=event))
    assert response.status_code == (404 if "{event}" in path or "secret" in path else 200)
    assert b"secret" not in response.content
    assert event not in response.content.decode()


@pytest.mark.parametrize("path", PAGES)
def test_nobody_is_sent_to_the_sign_in_page(event: str, path: str) -> None:
    wanted = path.format(event=event)
    response = Client().get(wanted)
    assert (response.status_code, response["Location"]) == (302, f"/sign-in/?next={quote(wanted)}")
    more = "&" if "?" in wanted else "?"
    current = {"HX-Current-URL": f"http://testserver{wanted}{more}q=a"}
    part = Client().get(f"{wanted}{more}rev=1", headers=htmx("x") | current)
    assert part["HX-Redirect"] == f"/sign-in/?next={quote(f'{wanted}{more}q=a')}"
    assert part.status_code == 200
    assert not part.content


def test_a_person_without_an_organization_is_told_so(db: None) -> None:
    client = Client()
    client.force_login(UserFactory())
    response = client.get("/")
    assert response.status_code == 403
    assert "You belong to no organization yet" in response.content.decode()


def test_a_removed_member_is_refused_at_once(member: Client, event: str) -> None:
    assert member.get("/").status_code == 200
    Membership.objects.all().delete()
    assert member.get("/").status_code == 403
    assert member.get(f"/requests/{event}/").status_code == 403


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 403), (Role.MEMBER, 403), (Role.ADMIN, 200), (Role.OWNER, 200)]
)
def test_a_view_may_ask_for_a_role(organization: Organization, role: Role, status: int) -> None:
    @member_required(role=Role.ADMIN)
    def view(request: MemberRequest) -> HttpResponse:
        return HttpResponse(request.visit.organization)

    request = RequestFactory().get("/")
    request.user = MembershipFactory(organization=organization, role=role).user
    request.session = {}  # type: ignore[assignment]
    response = view(request)
    assert response.status_code == status
    assert (response.content == b"Northwind") is (status == 200)


def test_organizations_are_switched_among_one_s_own(member: Client, organization: Organization, event: str) -> None:
    user = Membership.objects.get().user
    other = MembershipFactory(user=user, organization=OrganizationFactory(name="Aardvark")).organization
    foreign = OrganizationFactory()
    assert member.post("/organization/", {"organization": organization.pk}).status_code == 302
    assert member.get(f"/requests/{event}/").status_code == 200
    member.post("/organization/", {"organization": other.pk})
    assert member.get(f"/requests/{event}/").status_code == 404
    for wrong in (foreign.pk, "x", ""):
        assert member.post("/organization/", {"organization": wrong}).status_code == 404
    Membership.objects.filter(organization=other).delete()
    assert member.get(f"/requests/{event}/").status_code == 200


@pytest.fixture
def data_dir(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    ("wanted", "location"), [("/requests/", "/requests/"), ("https://evil.example/", "/"), ("", "/")]
)
def test_signing_in_goes_where_one_wanted_to_go_on_this_host(
    organization: Organization, wanted: str, location: str
) -> None:
    user = MembershipFactory(organization=organization).user
    client = Client()
    response = client.post("/sign-in/", {"username": user.email.upper(), "password": PASSWORD, "next": wanted})
    assert (response.status_code, response["Location"]) == (302, location)
    assert client.get("/").status_code == 200


def test_signing_out_needs_a_post_and_clears_the_cache(member: Client) -> None:
    assert member.get("/sign-out/").status_code == 405
    response = member.post("/sign-out/")
    assert response["Clear-Site-Data"] == '"cache"'
    assert member.get("/").status_code == 302


def test_guessing_is_stopped_for_this_person_from_this_place(data_dir: Path, organization: Organization) -> None:
    user = MembershipFactory(organization=organization).user
    right, wrong = ({"username": user.email, "password": word} for word in (PASSWORD, "wrong"))
    for _ in range(sign_in_throttle.MAX_FAILURES):
        assert "Too many" not in Client().post("/sign-in/", wrong).content.decode()
    assert "Too many failed tries" in Client().post("/sign-in/", right).content.decode()
    assert Client(REMOTE_ADDR="192.0.2.9").post("/sign-in/", right).status_code == 302


def test_failures_are_forgiven_by_success_and_by_time(tmp_path: Path) -> None:
    start = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)

    def fail(times: int, at: datetime) -> None:
        for _ in range(times):
            sign_in_throttle.record(tmp_path, "a@example.com", "192.0.2.1", at, succeeded=False)

    def refused(at: datetime, email: str = "a@example.com") -> bool:
        return sign_in_throttle.is_refused(tmp_path, email, "192.0.2.1", at)

    fail(9, start + timedelta(minutes=14))
    assert not refused(start + timedelta(minutes=14))
    fail(1, start + timedelta(minutes=16))
    assert refused(start + timedelta(minutes=16), "A@example.com ")
    assert not refused(start + timedelta(minutes=16), "b@example.com")
    assert not refused(start + timedelta(minutes=30))
    sign_in_throttle.record(tmp_path, "a@example.com", "192.0.2.1", start + timedelta(minutes=17), succeeded=True)
    assert not refused(start + timedelta(minutes=17))
    fail(1, start + timedelta(hours=2))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("wanted", "location"), [("/requests/?q=a", "/requests/?q=a"), ("//evil.example/", "/")])
def test_the_theme_is_kept_in_a_cookie(db: None, wanted: str, location: str) -> None:
    client = Client()
    response = client.post("/theme/", {"theme": "dark", "next": wanted})
    assert response["Location"] == location
    assert client.cookies["theme"].value == "dark"
    assert "theme" not in Client().post("/theme/", {"theme": "pink"}).cookies
