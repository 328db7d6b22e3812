"""Signing in, staying in, signing out; what browsers of other sites may not do."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.fixtures import Settings

from events import sign_in_throttle
from events.models import Organization, Role
from metering.models import ApiSession
from tests.factories import PASSWORD, MembershipFactory, OrganizationFactory, UserFactory
from tests.metering.api.conftest import Api, field_errors


@pytest.fixture
def browser(organization: Organization) -> Api:
    """Signed in with cookies, as an admin."""
    api = Api()
    api.user = MembershipFactory(organization=organization, role=Role.ADMIN).user
    assert api.post("auth/login", {"email": api.user.email, "password": PASSWORD}).status_code == 200
    return api


def test_signing_in_sets_two_cookies_and_says_who(organization: Organization) -> None:
    user = MembershipFactory(organization=organization, role=Role.VIEWER).user
    MembershipFactory(user=user, organization=OrganizationFactory(name="Aardvark", slug="aardvark"), role=Role.OWNER)
    api = Api()
    response = api.post("auth/login", {"email": user.email.upper(), "password": PASSWORD})
    body = response.json()
    assert response.status_code == 200
    assert body["expires_in"] == 900
    assert body["user"] == {"id": user.pk, "email": user.email, "name": user.name}
    assert body["organizations"] == [
        {"name": "Aardvark", "slug": "aardvark", "role": "owner"},
        {"name": "Northwind", "slug": "northwind", "role": "viewer"},
    ]
    access, refresh = response.cookies["access_token"], response.cookies["refresh_token"]
    assert access.value == body["access_token"]
    assert access["httponly"]
    assert refresh["httponly"]
    assert (access["samesite"], access["path"], access["max-age"]) == ("Lax", "/api/v1", 900)
    assert (refresh["samesite"], refresh["path"]) == ("Lax", "/api/v1/auth")
    assert 0 <= 30 * 86_400 - refresh["max-age"] <= 1
    assert not access["secure"]
    assert response["Cache-Control"] == "no-store"
    assert refresh.value.encode() not in bytes(ApiSession.objects.get().refresh_sha256)
    assert api.get("meters").status_code == 200


def test_behind_https_cookies_are_secure(organization: Organization, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://fluxgate.example"
    user = MembershipFactory(organization=organization).user
    response = Api().post("auth/login", {"email": user.email, "password": PASSWORD})
    assert response.cookies["access_token"]["secure"]
    assert response.cookies["refresh_token"]["secure"]


def test_the_wrong_and_the_unknown_get_the_same_words(organization: Organization) -> None:
    user = MembershipFactory(organization=organization).user
    inactive = UserFactory(is_active=False)
    tries = [(user.email, "wrong"), ("nobody@example.com", PASSWORD), (inactive.email, PASSWORD)]
    answers = [Api().post("auth/login", {"email": email, "password": password}) for email, password in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["error"]["message"] for answer in answers}) == 1
    assert not ApiSession.objects.exists()
    assert not any(answer.cookies for answer in answers)


def test_guessing_is_stopped_together_with_the_dashboards(organization: Organization) -> None:
    user = MembershipFactory(organization=organization).user
    for number in range(sign_in_throttle.MAX_FAILURES):
        if number % 2:
            Api().client.post("/sign-in/", {"username": user.email, "password": "wrong"})
        else:
            assert Api().post("auth/login", {"email": user.email, "password": "wrong"}).status_code == 401
    response = Api().post("auth/login", {"email": user.email, "password": PASSWORD})
    assert (response.status_code, response["Retry-After"]) == (429, "900")
    assert "Too many" in Api().client.post("/sign-in/", {"username": user.email, "password": PASSWORD}).content.decode()


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"email": "is required", "password": "is required"}),
        ({"email": 5, "password": "x"}, {"email": "must be a string, got an integer"}),
        ({"email": "a", "password": None}, {"password": "must be a string, got null"}),
        ({"email": "a\0", "password": "b\0"}, dict.fromkeys(("email", "password"), "must not contain U+0000")),
        ({"email": "", "password": "x"}, {"email": "must not be empty"}),
        ({"email": "a", "password": "x" * 1001}, {"password": "must have at most 1000 characters"}),
        ({"email": "a", "password": "b", "remember": True}, {"remember": "is not known here"}),
        ([], {"": "must be an object, got a list"}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sign_in_is_named(db: None, body: object, wrong: dict[str, str]) -> None:
    response = Api().post("auth/login", body)
    assert (response.status_code, field_errors(response)) == (422, wrong)


def test_refreshing_gives_new_cookies_and_takes_the_old_one(browser: Api) -> None:
    first = browser.client.cookies["refresh_token"].value
    response = browser.post("auth/refresh")
    assert response.status_code == 200
    assert response.json()["organizations"][0]["slug"] == "northwind"
    assert browser.client.cookies["refresh_token"].value != first
    assert browser.get("meters").status_code == 200
    assert browser.post("auth/refresh").status_code == 200


def test_an_old_refresh_token_ends_the_sign_in(browser: Api) -> None:
    stolen = browser.client.cookies["refresh_token"].value
    browser.post("auth/refresh")
    thief = Api()
    thief.client.cookies["refresh_token"] = stolen
    assert thief.post("auth/refresh").status_code == 401
    assert browser.get("meters").status_code == 401
    assert browser.post("auth/refresh").status_code == 401
    assert ApiSession.objects.get().ended_at is not None


def test_a_sign_in_ends_after_thirty_days_however_often_it_is_refreshed(browser: Api) -> None:
    before = ApiSession.objects.get().expires_at
    browser.post("auth/refresh")
    assert ApiSession.objects.get().expires_at == before
    ApiSession.objects.update(expires_at=datetime.now(UTC) + timedelta(seconds=100))
    assert 90 <= browser.post("auth/refresh").json()["expires_in"] <= 100
    ApiSession.objects.update(expires_at=datetime.now(UTC))
    assert browser.post("auth/refresh").status_code == 401


def test_another_password_ends_the_sign_in(browser: Api) -> None:
    browser.user.set_password("another")
    browser.user.save()
    assert browser.get("meters").status_code == 401
    assert browser.post("auth/refresh").status_code == 401


@pytest.mark.parametrize("token", ["", "x", "0" * 32 + ".x", "a" * 100_000, "0" * 32 + ".\u20ac"])
def test_no_refresh_token_is_401(db: None, token: str) -> None:
    api = Api()
    response = api.post("auth/refresh", Cookie=f"refresh_token={token}".encode().decode("latin-1"))
    assert response.status_code == 401


def test_signing_out_ends_the_sign_in_at_once_and_clears_the_cookies(browser: Api) -> None:
    token = browser.client.cookies["access_token"].value
    response = browser.post("auth/logout")
    assert (response.status_code, response.json()) == (200, {"status": "SIGNED_OUT"})
    assert {(name, morsel["max-age"], morsel["path"]) for name, morsel in response.cookies.items()} == {
        ("access_token", 0, "/api/v1"),
        ("refresh_token", 0, "/api/v1/auth"),
    }
    assert Api(Authorization=f"Bearer {token}").get("meters").status_code == 401
    assert Api().post("auth/logout").status_code == 200


def test_signing_out_with_the_refresh_token_alone(browser: Api) -> None:
    del browser.client.cookies["access_token"]
    assert browser.post("auth/logout").status_code == 200
    assert ApiSession.objects.get().ended_at is not None


def test_signing_in_forgets_what_is_over(browser: Api) -> None:
    ApiSession.objects.update(ended_at=datetime.now(UTC))
    browser.post("auth/login", {"email": browser.user.email, "password": PASSWORD})
    assert ApiSession.objects.count() == 1


ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver:8080"},
    {"Origin": "https://testserver"},
    {"Origin": "http://testserver.evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_pages_of_other_sites_change_nothing_with_our_cookies(browser: Api, headers: dict[str, str]) -> None:
    for method, path in (("POST", "meters"), ("PATCH", "meters/1"), ("DELETE", "meters/1"), ("POST", "auth/logout"),
                         ("POST", "auth/refresh"), ("POST", "auth/login")):  # fmt: skip
        response = browser.call(method, path, {"name": "Documents"}, **headers)
        assert (response.status_code, response.json()["error"]["type"]) == (403, "cross_origin"), path
    assert browser.get("meters", **headers).status_code == 200
    assert browser.get("meters").json()["items"] == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://testserver"}, {"Origin": "http://localhost:8000"}, {"Sec-Fetch-Site": "same-origin"},
     {"Sec-Fetch-Site": "none"}],
)  # fmt: skip
def test_our_own_pages_and_programs_do(browser: Api, headers: dict[str, str]) -> None:
    assert browser.post("meters", {"name": "Documents"}, **headers).status_code == 201


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x"]
)
def test_with_a_cookie_writes_must_be_json(browser: Api, media_type: str) -> None:
    for method, path in (("POST", "meters"), ("DELETE", "meters/1"), ("POST", "auth/login"), ("POST", "auth/logout")):
        response = browser.call(method, path, {"name": "Documents"}, content_type=media_type)
        assert (response.status_code, response.json()["error"]["type"]) == (415, "unsupported_media_type")


def test_bearer_needs_no_origin_but_json(admin: Api) -> None:
    assert admin.post("meters", {"name": "A"}, **ELSEWHERE[0]).status_code == 201
    assert admin.post("meters", {"name": "B"}, content_type="application/json; charset=utf-8").status_code == 201
    assert admin.post("meters", {"name": "C"}, content_type="text/plain").status_code == 415


def test_two_access_cookies_are_nobodys(browser: Api) -> None:
    token = browser.client.cookies["access_token"].value
    for cookie in (f"access_token={token}; access_token={token}", f"access_token=x;access_token={token}",
                   f"access_token={token},access_token=x", f"access_token ={token}; access_token=x"):  # fmt: skip
        assert Api().get("meters", Cookie=cookie).status_code == 401
    assert Api().get("meters", Cookie=f"a=access_token; access_token={token}").status_code == 200
    assert Api().get("meters", Cookie=f"access_token={'a' * 1_000_000}").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer a", "X-API-Key": "b"},
        {"X-API-Key": "org_live_" + "x" * 38},
        {"X-API-Key": "é"},
        {"Authorization": "Bearer org_live_x"},
    ],
)
def test_who_shows_nothing_useful_is_told_so(db: None, headers: dict[str, str]) -> None:
    response = Api(**headers).get("meters")
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")


def test_a_header_goes_before_the_cookie(browser: Api) -> None:
    assert browser.get("meters", Authorization="Bearer x").status_code == 401
