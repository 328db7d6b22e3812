"""Who gets in: members of each role, strangers, nobody; signing in and out; switching organizations."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from dashboard.access import MemberRequest, member_required
from events import sign_in_throttle
from events.models import Membership, Organization, Role
from events.models.event import public_id
from fluxgate_site import asgi
from fluxgate_site.asgi import Application
from tests.dashboard import place as places
from tests.dashboard import url_table
from tests.dashboard.conftest import htmx
from tests.dashboard.place import Place
from tests.dashboard.url_table import Address
from tests.events_table import Call, store_events
from tests.factories import PASSWORD, MembershipFactory, OrganizationFactory, UserFactory

PAGES = ("/", "/requests/{event}/", "/costs/?by=user")


@pytest.fixture
def event(organization: Organization, now: datetime) -> str:
    return public_id(store_events(organization, [Call(at=now, feature="secret-feature", user="secret-user")])[0])


def addresses(
    found: Iterable[URLPattern | URLResolver], prefix: str = "", space: str = ""
) -> Iterator[tuple[str, str]]:
    """Name and pattern of every address that Django answers; without a name, the pattern twice."""
    for one in found:
        pattern = f"{prefix}{one.pattern}"
        if isinstance(one, URLPattern):
            yield (f"{space}{one.name}" if one.name else pattern), pattern
        else:
            yield from addresses(one.url_patterns, pattern, f"{one.namespace}:" if one.namespace else space)


def test_every_address_is_in_the_table() -> None:
    known = {address.name for address in url_table.NAMED} | url_table.UNNAMED
    found = {name for name, _ in addresses(get_resolver().url_patterns)}
    # Those of the REST API have a table of their own, in tests/metering/api/test_access.py.
    assert {name for name in found if not name.startswith("api:")} == known
    routes = {address.name for address in url_table.NATIVE if address.method == "POST"}
    assert set(Application().native.routes) == routes


def path_of(address: Address, place: Place) -> str:
    path = reverse(address.name, kwargs={name: value.format(**place.named) for name, value in address.args.items()})
    return f"{path}?{address.query.format(**place.named)}" if address.query else path


def answer_of(response: HttpResponseBase) -> str:
    is_sent_to_sign_in = response.headers.get("Location", "").startswith(("/sign-in/", "/admin/login/"))
    return "in" if is_sent_to_sign_in else str(response.status_code)


def content_of(response: Any) -> bytes:
    """All of it: what is streamed holds its place in the queue until it has been read."""
    return bytes(b"".join(response.streaming_content) if response.streaming else response.content)


@pytest.fixture
def ask(data_dir: Path, db: None, now: datetime) -> Callable[..., tuple[str, bytes]]:
    """`ask(role, method, address)`: the answer and its content; what a request changes is undone."""
    place = places.build(now)
    cookies = {}
    for role, person in place.people.items():
        client = Client()
        client.force_login(person)
        cookies[role] = client.cookies[settings.SESSION_COOKIE_NAME].value

    def asked(role: str, method: str, address: Address) -> tuple[str, bytes]:
        client = Client(raise_request_exception=False)
        if role in cookies:
            client.cookies[settings.SESSION_COOKIE_NAME] = cookies[role]
        data = {name: value.format(**place.named) for name, value in address.data.items()}
        send: Callable[..., Any] = getattr(client, method.lower())
        with transaction.atomic():
            response = send(path_of(address, place), data if method == "POST" else None)
            content = content_of(response)
            transaction.set_rollback(True)
        return answer_of(response), content

    return asked


def test_every_address_answers_each_role_as_the_table_says(ask: Callable[..., tuple[str, bytes]]) -> None:
    wrong = []
    for address in url_table.NAMED:
        answers = {role: ask(role, address.method, address) for role in url_table.ROLES}
        if " ".join(answer for answer, _ in answers.values()) != address.answers:
            wrong.append(f"{address.method} {address.name}: {[answer for answer, _ in answers.values()]}")
        for role in ("nobody", "stranger"):
            if places.SECRET.encode() in answers[role][1]:
                wrong.append(f"{address.method} {address.name} tells {role} what is none of their business")
    assert not wrong, "\n".join(wrong)


def test_no_address_takes_another_method(ask: Callable[..., tuple[str, bytes]]) -> None:
    listed: dict[str, list[Address]] = {}
    for address in url_table.NAMED:
        if address.name.startswith("dashboard:"):
            listed.setdefault(address.name, []).append(address)
    for name, taken in listed.items():
        for method in {"GET", "POST", "DELETE"} - {address.method for address in taken}:
            # Who is signed in is sent on from the sign-in page, whatever the method.
            role = "nobody" if name == "dashboard:sign_in" else "owner"
            assert ask(role, method, taken[0])[0] == "405", f"{method} {name}"


@pytest.mark.parametrize("address", url_table.NATIVE, ids=lambda address: address.name)
def test_addresses_outside_of_django_know_no_sign_in(address: Address) -> None:
    async def status(cookie: str) -> str:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"{}", "more_body": False}

        headers = [(b"cookie", cookie.encode()), (b"content-type", b"application/json")]
        scope = {
            "type": "http",
            "method": address.method,
            "path": address.name,
            "headers": headers,
            "query_string": b"",
        }
        await asgi.Application()(scope, receive, send)
        return str(sent[0]["status"])

    cookies = ["" if role == "nobody" else f"sessionid={role}" for role in url_table.ROLES]
    assert " ".join(asyncio.run(status(cookie)) for cookie in cookies) == address.answers


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
    assert (content_of(response) == b"Northwind") is (status == 200)


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
