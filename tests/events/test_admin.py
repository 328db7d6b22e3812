import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from events import keys
from events.models import ApiKey, Event, Membership, Organization, RevenueChange, Role, TrackedUser, User
from tests.factories import (
    PASSWORD,
    ApiKeyFactory,
    MembershipFactory,
    OrganizationFactory,
    TrackedUserFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
KEY = re.compile(r"org_(?:live|test)_[0-9A-Za-z]{38}")
SENT_BEFORE = "This form was sent before"
ADDED = reverse("admin:events_apikey_add")
MODELS = ("organization", "membership", "user", "trackeduser", "apikey")
ACTORS = ("superuser", "owner", "admin", "member", "viewer", "stranger")


@dataclass
class Place:
    """One organization with a person of each role, and another one that is none of their business."""

    organization: Organization
    other: Organization
    people: dict[str, User]
    objects: dict[str, Any]
    foreign: dict[str, Any]

    def client(self, actor: str) -> Client:
        client = Client()
        client.force_login(self.people[actor])
        return client


def objects_of(organization: Organization) -> dict[str, Any]:
    member = MembershipFactory(organization=organization)
    return {
        "organization": organization,
        "membership": member,
        "user": member.user,
        "trackeduser": TrackedUserFactory(organization=organization, external_id=f"of-{organization.slug}"),
        "apikey": ApiKeyFactory(organization=organization, name=f"of-{organization.slug}"),
    }


def build_place() -> Place:
    organization, other = OrganizationFactory(slug="ours"), OrganizationFactory(slug="theirs")
    people: dict[str, User] = {
        role.value: MembershipFactory(organization=organization, role=role, user__is_staff=True).user for role in Role
    }
    people["superuser"] = UserFactory(is_staff=True, is_superuser=True)
    people["stranger"] = MembershipFactory(organization=other, role=Role.OWNER, user__is_staff=True).user
    return Place(organization, other, people, objects_of(organization), objects_of(other))


@pytest.fixture
def place() -> Place:
    return build_place()


def change_url(model: str, obj: Any) -> str:
    return reverse(f"admin:events_{model}_change", args=[obj.pk])


def role_of(place: Place, who: str) -> str:
    return Membership.objects.get(user=place.people[who], organization=place.organization).role


# Who sees what


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("actor", ACTORS)
def test_each_sees_and_opens_only_their_own(place: Place, actor: str, model: str) -> None:
    client = place.client(actor)
    listed = client.get(reverse(f"admin:events_{model}_changelist"))
    ours, theirs = (client.get(change_url(model, of[model])) for of in (place.objects, place.foreign))
    if actor in ("member", "viewer"):
        assert [answer.status_code for answer in (listed, ours, theirs)] == [403, 403, 403]
        return
    seen = set(listed.context["cl"].queryset)
    sees_ours, sees_theirs = actor != "stranger", actor in ("superuser", "stranger")
    assert (place.objects[model] in seen, place.foreign[model] in seen) == (sees_ours, sees_theirs)
    # Django's admin sends home who asks for an object that is not in the list.
    assert (ours.status_code, theirs.status_code) == (200 if sees_ours else 302, 200 if sees_theirs else 302)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("actor", ACTORS)
def test_who_may_add(place: Place, actor: str, model: str) -> None:
    managing = actor in ("superuser", "owner", "admin", "stranger")
    allowed = actor == "superuser" if model == "organization" else managing
    answer = place.client(actor).get(reverse(f"admin:events_{model}_add"))
    assert answer.status_code == (200 if allowed else 403)


@pytest.mark.parametrize("model", ["organization", "user", "trackeduser", "apikey"])
@pytest.mark.parametrize("actor", ["superuser", "owner"])
def test_nobody_deletes(place: Place, actor: str, model: str) -> None:
    client, obj = place.client(actor), place.objects[model]
    assert client.post(reverse(f"admin:events_{model}_delete", args=[obj.pk]), {"post": "yes"}).status_code == 403
    bulk = {"action": "delete_selected", "_selected_action": obj.pk, "post": "yes"}
    client.post(reverse(f"admin:events_{model}_changelist"), bulk)
    obj.refresh_from_db()


def test_choices_are_limited_to_what_one_manages(place: Place) -> None:
    form = place.client("owner").get(reverse("admin:events_membership_add")).context["adminform"].form
    assert set(form.fields["organization"].queryset) == {place.organization}
    assert place.foreign["user"] not in form.fields["user"].queryset
    assert place.objects["user"] in form.fields["user"].queryset


@pytest.mark.parametrize("model", ["membership", "trackeduser", "apikey"])
@pytest.mark.parametrize("actor", ["superuser", "owner"])
def test_nothing_moves_to_another_organization(place: Place, actor: str, model: str) -> None:
    form = {
        "organization": place.other.pk,
        "name": "renamed",
        "role": Role.VIEWER,
        "revenue_changes-TOTAL_FORMS": 0,
        "revenue_changes-INITIAL_FORMS": 0,
    }
    answer = place.client(actor).post(change_url(model, place.objects[model]), form)
    place.objects[model].refresh_from_db()
    assert (answer.status_code, place.objects[model].organization) == (302, place.organization)


def test_nothing_is_added_to_another_organization(place: Place) -> None:
    form = {
        "organization": place.other.pk,
        "external_id": "smuggled",
        "revenue_changes-TOTAL_FORMS": 0,
        "revenue_changes-INITIAL_FORMS": 0,
    }
    assert place.client("owner").post(reverse("admin:events_trackeduser_add"), form).status_code == 200
    assert not TrackedUser.objects.filter(external_id="smuggled").exists()


def test_anonymous_people_are_sent_to_our_sign_in(client: Client) -> None:
    wanted = reverse("admin:events_apikey_changelist")
    for method in (client.get, client.post):
        answer = method(reverse("admin:login") + f"?next={wanted}")
        assert (answer.status_code, answer["Location"]) == (302, f"{reverse('dashboard:sign_in')}?next={wanted}")
    elsewhere = client.get(reverse("admin:login") + "?next=https://example.com/")
    assert elsewhere["Location"] == f"{reverse('dashboard:sign_in')}?next={reverse('admin:index')}"


def test_the_admins_own_sign_in_form_cannot_be_used_to_guess(place: Place) -> None:
    client, guess = Client(), {"username": place.people["owner"].email, "password": PASSWORD}
    client.force_login(UserFactory())
    assert client.post(reverse("admin:login"), guess).status_code == 403


# Members and roles


@pytest.mark.parametrize(
    ("actor", "who", "role", "done"),
    [
        ("owner", "member", Role.OWNER, True),
        ("owner", "admin", Role.VIEWER, True),
        ("owner", "owner", Role.ADMIN, False),
        ("superuser", "owner", Role.ADMIN, False),
        ("admin", "member", Role.ADMIN, True),
        ("admin", "member", Role.OWNER, False),
        ("admin", "admin", Role.OWNER, False),
        ("admin", "owner", Role.MEMBER, False),
    ],
)
@pytest.mark.parametrize("page", ["membership", "organization"])
def test_roles(place: Place, actor: str, who: str, role: Role, done: bool, page: str) -> None:
    before = role_of(place, who)
    membership = Membership.objects.get(user=place.people[who], organization=place.organization)
    if page == "membership":
        place.client(actor).post(change_url(page, membership), {"role": role})
    else:
        place.client(actor).post(change_url(page, place.organization), members_form(place, {membership.pk: role}))
    assert role_of(place, who) == (role if done else before)


def members_form(
    place: Place, roles: dict[int, str], leaving: tuple[int, ...] = (), **more: object
) -> dict[str, object]:
    """The organization's page as a browser posts it."""
    members = list(Membership.objects.filter(organization=place.organization))
    form: dict[str, object] = {
        "name": "Ours",
        "slug": "ours",
        "time_zone": "UTC",
        "memberships-TOTAL_FORMS": len(members),
        "memberships-INITIAL_FORMS": len(members),
    }
    for n, member in enumerate(members):
        form |= {f"memberships-{n}-id": member.pk, f"memberships-{n}-user": member.user_id}
        form[f"memberships-{n}-role"] = roles.get(member.pk, member.role)
        if member.pk in leaving:
            form[f"memberships-{n}-DELETE"] = "on"
    return form | more


@pytest.mark.parametrize("how", ["demoted", "removed"])
@pytest.mark.parametrize("successor", [True, False])
def test_all_owners_cannot_go_at_once(place: Place, how: str, successor: bool) -> None:
    MembershipFactory(organization=place.organization, role=Role.OWNER)
    owners = tuple(
        Membership.objects.filter(organization=place.organization, role=Role.OWNER).values_list("pk", flat=True)
    )
    roles = dict.fromkeys(owners, Role.MEMBER.value) if how == "demoted" else {}
    if successor:
        roles[place.objects["membership"].pk] = Role.OWNER.value
    form = members_form(place, roles, owners if how == "removed" else ())
    place.client("owner").post(change_url("organization", place.organization), form)
    left = set(Membership.objects.filter(organization=place.organization, role=Role.OWNER).values_list("pk", flat=True))
    assert left == ({place.objects["membership"].pk} if successor else set(owners))


def test_an_admin_cannot_put_somebody_into_an_owners_place(place: Place) -> None:
    owner = Membership.objects.get(user=place.people["owner"])
    form = members_form(place, {})
    row = next(name for name, value in form.items() if name.endswith("-id") and value == owner.pk)
    # Somebody whom the admin may choose, from an organization of their own.
    own = MembershipFactory(user=place.people["admin"], role=Role.OWNER).organization
    form[row.replace("-id", "-user")] = MembershipFactory(organization=own).user.pk
    place.client("admin").post(change_url("organization", place.organization), form)
    owner.refresh_from_db()
    assert owner.user == place.people["owner"]


@pytest.mark.parametrize(
    ("actor", "who", "status"),
    [("admin", "member", 302), ("admin", "owner", 403), ("owner", "owner", 403), ("superuser", "owner", 403)],
)
def test_removing_members(place: Place, actor: str, who: str, status: int) -> None:
    membership = Membership.objects.get(user=place.people[who])
    url = reverse("admin:events_membership_delete", args=[membership.pk])
    assert place.client(actor).post(url, {"post": "yes"}).status_code == status
    assert Membership.objects.filter(pk=membership.pk).exists() == (status == 403)


def test_an_admin_removes_no_owner_in_the_organizations_page_either(place: Place) -> None:
    second = MembershipFactory(organization=place.organization, role=Role.OWNER)
    place.client("admin").post(change_url("organization", place.organization), members_form(place, {}, (second.pk,)))
    assert Membership.objects.filter(pk=second.pk).exists()


@pytest.mark.parametrize("page", ["membership", "organization"])
def test_who_is_made_admin_can_open_the_admin(place: Place, page: str) -> None:
    membership = place.objects["membership"]
    assert not membership.user.is_staff
    if page == "membership":
        place.client("owner").post(change_url(page, membership), {"role": Role.ADMIN})
    else:
        form = members_form(place, {membership.pk: Role.ADMIN})
        place.client("owner").post(change_url(page, place.organization), form)
    membership.user.refresh_from_db()
    assert membership.user.is_staff


# People


def person_form(place: Place, **values: object) -> dict[str, object]:
    return {
        "email": "new@example.com",
        "name": "New",
        "organization": place.organization.pk,
        "role": Role.MEMBER,
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    } | values


@pytest.mark.parametrize(
    ("actor", "values", "done"),
    [
        ("admin", {}, True),
        ("admin", {"role": Role.ADMIN}, True),
        ("admin", {"role": Role.OWNER}, False),
        ("owner", {"role": Role.OWNER}, True),
        ("owner", {"organization": ""}, False),
        ("superuser", {"organization": ""}, True),
        ("owner", {"is_superuser": "on", "is_staff": "on"}, True),
    ],
)
def test_adding_people(place: Place, actor: str, values: dict[str, object], done: bool) -> None:
    place.client(actor).post(reverse("admin:events_user_add"), person_form(place, **values))
    made = User.objects.filter(email="new@example.com").first()
    assert (made is not None) == done
    if made is None:
        return
    assert made.check_password(PASSWORD)
    assert not made.is_superuser
    roles = [] if values.get("organization") == "" else [values.get("role", Role.MEMBER)]
    assert list(made.memberships.values_list("role", flat=True)) == roles
    assert made.is_staff == (roles in ([Role.ADMIN], [Role.OWNER]))


def test_nobody_is_added_to_an_organization_of_others(place: Place) -> None:
    form = person_form(place, organization=place.other.pk)
    place.client("owner").post(reverse("admin:events_user_add"), form)
    assert not User.objects.filter(email="new@example.com").exists()


def edits(place: Place, actor: str, person: User) -> tuple[bool, bool]:
    """Whether the actor changed the person's address, and their password."""
    form = {"email": "taken.over@example.com", "name": "", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    passwords = {"usable_password": "true", "password1": "another one 1", "password2": "another one 1"}
    client = place.client(actor)
    client.post(change_url("user", person), form)
    client.post(reverse("admin:auth_user_password_change", args=[person.pk]), passwords)
    person.refresh_from_db()
    return person.email == "taken.over@example.com", person.check_password("another one 1")


@pytest.mark.parametrize(
    ("actor", "who", "done"),
    [
        ("superuser", "owner", True),
        ("owner", "admin", True),
        ("owner", "member", True),
        ("admin", "member", True),
        ("admin", "admin", True),
        ("admin", "owner", False),
        ("owner", "superuser", False),
        ("owner", "stranger", False),
        ("member", "member", False),
    ],
)
def test_who_may_edit_a_person(place: Place, actor: str, who: str, done: bool) -> None:
    person = place.people[who]
    was_superuser = person.is_superuser
    assert edits(place, actor, person) == (done, done)
    assert person.is_superuser == (was_superuser or (done and actor == "superuser"))


def test_who_belongs_to_others_too_is_seen_but_not_edited(place: Place) -> None:
    person = place.people["member"]
    MembershipFactory(organization=place.other, user=person)
    assert place.client("owner").get(change_url("user", person)).status_code == 200
    assert edits(place, "owner", person) == (False, False)


def test_an_operator_who_is_a_member_is_not_edited_by_an_owner(place: Place) -> None:
    MembershipFactory(organization=place.organization, user=place.people["superuser"])
    assert edits(place, "owner", place.people["superuser"]) == (False, False)


@pytest.mark.parametrize(("who", "active"), [("owner", True), ("admin", False)])
def test_the_last_owner_stays_active(place: Place, who: str, active: bool) -> None:
    person = place.people[who]
    place.client("superuser").post(change_url("user", person), {"email": person.email, "name": "", "is_staff": "on"})
    person.refresh_from_db()
    assert person.is_active == active


# Organizations and tracked users


def test_an_owner_renames_but_keeps_the_slug(place: Place) -> None:
    form = members_form(place, {}, slug="elsewhere", time_zone="Asia/Tokyo", name="Renamed")
    place.client("owner").post(change_url("organization", place.organization), form)
    place.organization.refresh_from_db()
    organization = place.organization
    assert (organization.name, organization.slug, organization.time_zone) == ("Renamed", "ours", "Asia/Tokyo")


def test_the_time_zone_is_settled_by_the_first_event(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Event.objects, "filter", lambda **_: Organization.objects.all())
    form = members_form(place, {}, time_zone="Asia/Tokyo")
    place.client("superuser").post(change_url("organization", place.organization), form)
    place.organization.refresh_from_db()
    assert (place.organization.name, place.organization.time_zone) == ("Ours", "UTC")


def test_revenue_is_added_to_a_tracked_user_and_never_deleted(place: Place) -> None:
    client, tracked = place.client("admin"), place.objects["trackeduser"]
    form = {
        "name": "Ada",
        "revenue_changes-TOTAL_FORMS": 1,
        "revenue_changes-INITIAL_FORMS": 0,
        "revenue_changes-0-effective_at_0": "2026-05-01",
        "revenue_changes-0-effective_at_1": "00:00",
        "revenue_changes-0-monthly_revenue_usd": "49.50",
    }
    assert client.post(change_url("trackeduser", tracked), form).status_code == 302
    revenue = RevenueChange.objects.get()
    assert (revenue.tracked_user, str(revenue.monthly_revenue_usd)) == (tracked, "49.500000")
    kept = {"revenue_changes-INITIAL_FORMS": 1, "revenue_changes-0-id": revenue.pk, "revenue_changes-0-DELETE": "on"}
    client.post(change_url("trackeduser", tracked), form | kept)
    assert RevenueChange.objects.get() == revenue


# API keys


def add_form(client: Client, place: Place, **values: object) -> dict[str, object]:
    """The form of a new key as a browser posts it, after it was shown."""
    shown = client.get(ADDED)
    return {
        "organization": place.organization.pk,
        "name": "chat backend",
        "environment": 0,
        "scopes": ["events:write", "read"],
        "expires_at_0": "",
        "expires_at_1": "",
        "form_token": shown.context["adminform"].form.initial["form_token"],
    } | values


def key_in(answer: Any) -> str:
    (text,) = KEY.findall(answer.content.decode())
    return str(text)


def assert_stored_nowhere(text: str) -> None:
    """Looks through every row of every table, through sessions as they decode, for the key's secret part."""
    with connection.cursor() as cursor:
        tables = [table for table in connection.introspection.table_names(cursor) if table != "spatial_ref_sys"]
        assert {"api_key", "django_admin_log", "django_session"} <= set(tables)
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE strpos(t::text, %s) > 0', [text[15:-4]])
            assert cursor.fetchone() == (0,), table
    for session in Session.objects.all():
        assert text[15:-4] not in str(session.get_decoded())


def test_a_new_key_is_shown_once_and_stored_nowhere(place: Place) -> None:
    client = place.client("admin")
    answer = client.post(ADDED, add_form(client, place))
    text = key_in(answer)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert answer.content.decode().count(text[15:-4]) == 1
    assert text not in str(answer.headers) + str(client.cookies)
    key = ApiKey.objects.get(name="chat backend")
    assert bytes(key.sha256) == keys.digest(text)
    assert (key.created_by, key.organization, key.scopes) == (
        place.people["admin"],
        place.organization,
        ["events:write", "read"],
    )
    assert_stored_nowhere(text)
    assert LogEntry.objects.get().object_repr == f"chat backend ({text[:15]}…{text[-4:]})"
    for url in (reverse("admin:events_apikey_changelist"), change_url("apikey", key), ADDED, reverse("admin:index")):
        page = client.get(url).content.decode()
        assert text[15:-4] not in page
    assert f"{text[:15]}…{text[-4:]}" in client.get(change_url("apikey", key)).content.decode()


def test_the_same_form_again_makes_no_second_key(place: Place) -> None:
    client = place.client("owner")
    form = add_form(client, place)
    text = key_in(client.post(ADDED, form))
    keys_before = ApiKey.objects.count()
    for again in (form, form | {"name": "something else"}):
        answer = client.post(ADDED, again)
        assert answer.context["title"] == SENT_BEFORE
        assert not KEY.search(answer.content.decode())
        assert f"{text[:15]}…{text[-4:]}" in answer.content.decode()
    assert ApiKey.objects.count() == keys_before


@pytest.mark.parametrize("token", ["", "made up", None])
def test_a_form_that_was_never_shown_here_makes_no_key(place: Place, token: str | None) -> None:
    client = place.client("owner")
    form = add_form(client, place, form_token=token or "")
    if token is None:
        form["form_token"] = add_form(place.client("admin"), place)["form_token"]
    keys_before = ApiKey.objects.count()
    assert client.post(ADDED, form).context["title"] == SENT_BEFORE
    assert ApiKey.objects.count() == keys_before


def test_saveasnew_is_no_way_around(place: Place) -> None:
    client, keys_before = place.client("owner"), ApiKey.objects.count()
    form = add_form(client, place, form_token="", _saveasnew="1")
    answer = client.post(change_url("apikey", place.objects["apikey"]), form)
    assert answer.context["title"] == SENT_BEFORE
    assert ApiKey.objects.count() == keys_before


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"environment": 7}, "environment"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "expires_at"),
    ],
)
def test_a_form_with_a_mistake_can_be_sent_again(place: Place, wrong: dict[str, object], field: str) -> None:
    client = place.client("owner")
    form = add_form(client, place)
    refused = client.post(ADDED, form | wrong)
    assert list(refused.context["adminform"].form.errors) == [field]
    assert not ApiKey.objects.filter(name="chat backend").exists()
    assert key_in(client.post(ADDED, form))


def test_a_key_for_an_organization_of_others_is_refused(place: Place) -> None:
    client = place.client("owner")
    refused = client.post(ADDED, add_form(client, place, organization=place.other.pk))
    assert list(refused.context["adminform"].form.errors) == ["organization"]


def test_only_the_name_can_be_changed(place: Place) -> None:
    key = place.objects["apikey"]
    before = ApiKey.objects.filter(pk=key.pk).values().get()
    form = {"name": "renamed", "scopes": ["read"], "environment": 1, "expires_at_0": "2030-01-01", "prefix": "x"}
    assert place.client("owner").post(change_url("apikey", key), form).status_code == 302
    assert ApiKey.objects.filter(pk=key.pk).values().get() == before | {"name": "renamed"}


def rotate_url(key: ApiKey) -> str:
    return reverse("admin:events_apikey_rotate", args=[key.pk])


def rotate_form(client: Client, key: ApiKey, overlap: int) -> dict[str, object]:
    return {"overlap": overlap, "form_token": client.get(rotate_url(key)).context["form"].initial["form_token"]}


@pytest.mark.parametrize("overlap", [0, 3600, 86400, 604800])
def test_rotate(place: Place, overlap: int) -> None:
    client, old = place.client("admin"), place.objects["apikey"]
    form = rotate_form(client, old, overlap)
    earliest = datetime.now(UTC)
    answer = client.post(rotate_url(old), form)
    text = key_in(answer)
    assert "no-store" in answer["Cache-Control"]
    old.refresh_from_db()
    new = old.replaced_by
    assert bytes(new.sha256) == keys.digest(text)
    assert (new.name, new.created_by) == (old.name, place.people["admin"])
    assert (old.revoked_at is None) == (overlap > 0)
    if overlap:
        lives = timedelta(seconds=overlap)
        assert earliest + lives <= old.expires_at <= datetime.now(UTC) + lives
    assert_stored_nowhere(text)
    assert set(LogEntry.objects.values_list("object_id", flat=True)) == {str(old.pk), str(new.pk)}
    again = client.post(rotate_url(old), form)
    assert again.context["title"] == SENT_BEFORE
    assert not KEY.search(again.content.decode())
    assert ApiKey.objects.filter(name=old.name).count() == 2
    assert client.get(rotate_url(old))["Location"] == change_url("apikey", old)
    offered = client.get(change_url("apikey", old)).content.decode()
    assert rotate_url(old) not in offered


def test_rotate_offers_a_day_and_takes_only_what_it_offers(place: Place) -> None:
    client, key = place.client("owner"), place.objects["apikey"]
    assert client.get(rotate_url(key)).context["form"].initial.get("overlap") is None
    assert client.get(rotate_url(key)).context["form"].fields["overlap"].initial == 86400
    refused = client.post(rotate_url(key), rotate_form(client, key, 10**9))
    assert list(refused.context["form"].errors) == ["overlap"]
    assert ApiKey.objects.filter(name=key.name).count() == 1


@pytest.mark.parametrize("used", [True, False])
def test_revoke_asks_and_tells_the_last_use(place: Place, used: bool) -> None:
    client, key = place.client("admin"), place.objects["apikey"]
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=datetime(2026, 5, 5, 10, tzinfo=UTC) if used else None)
    url = reverse("admin:events_apikey_revoke", args=[key.pk])
    asked = client.get(url).content.decode()
    assert ("2026-05-05 10:00 UTC" in asked, "never used" in asked) == (used, not used)
    key.refresh_from_db()
    assert key.revoked_at is None
    assert client.post(url)["Location"] == change_url("apikey", key)
    key.refresh_from_db()
    revoked_at = key.revoked_at
    assert revoked_at is not None
    client.post(url)
    key.refresh_from_db()
    assert key.revoked_at == revoked_at
    assert LogEntry.objects.get().change_message == "Revoked."
    page = client.get(change_url("apikey", key)).content.decode()
    assert url not in page
    assert rotate_url(key) not in page


@pytest.mark.parametrize("what", ["rotate", "revoke"])
@pytest.mark.parametrize(("actor", "status"), [("stranger", 404), ("member", 404), ("viewer", 404)])
def test_others_neither_rotate_nor_revoke(place: Place, what: str, actor: str, status: int) -> None:
    key = place.objects["apikey"]
    url = reverse(f"admin:events_apikey_{what}", args=[key.pk])
    client = place.client(actor)
    assert [client.get(url).status_code, client.post(url, {"overlap": 0}).status_code] == [status, status]
    key.refresh_from_db()
    assert (key.revoked_at, key.replaced_by) == (None, None)


def test_the_list_asks_as_often_for_many_keys_as_for_few(place: Place, django_assert_max_num_queries: Any) -> None:
    client, url = place.client("owner"), reverse("admin:events_apikey_changelist")
    with django_assert_max_num_queries(20) as few:
        client.get(url)
    ApiKeyFactory.create_batch(30, organization=place.organization)
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert len(client.get(url).context["cl"].result_list) == 31
