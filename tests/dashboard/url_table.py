"""Every address of the product and how it answers each role: one row for each method.

An answer is a status, or `in` for the way to the sign-in page. The columns, in this order: nobody signed in, a viewer,
a member, an admin, an owner, and the owner of another organization. What an address names belongs to the organization
of the first five; `args`, `query` and `data` are filled with what `tests.dashboard.place` has named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

ROLES = ("nobody", "viewer", "member", "admin", "owner", "stranger")


@dataclass(frozen=True)
class Address:
    """One method of one address; `name` as in the URL configuration, or the pattern where that gives no name."""

    method: str
    name: str
    answers: str
    args: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


def get(name: str, answers: str, args: Mapping[str, str] | None = None, query: str = "") -> Address:
    """Reading."""
    return Address("GET", name, answers, args or {}, query)


def post(
    name: str, answers: str, data: Mapping[str, str] | None = None, args: Mapping[str, str] | None = None
) -> Address:
    """Changing."""
    return Address("POST", name, answers, args or {}, data=data or {})


EVENT, EXPORT, VIEW = {"event_id": "{event}"}, {"export_id": "{export}"}, {"view_id": "{view}"}
INVOICE, DRAFT = {"invoice_id": "{invoice}"}, {"invoice_id": "{draft}"}
MEMBERSHIP = {"membership_id": "{viewers_membership}"}
PRICE = {"provider": "openai", "key": "gpt-4o"}
PERIOD = {"period": "7d"}

DASHBOARD = [
    get("overview", "in 200 200 200 200 200"),
    get("requests", "in 200 200 200 200 200"),
    get("requests_csv", "in 200 200 200 200 200"),
    post("request_columns", "in 302 302 302 302 302", {"column": "cost"}),
    get("request", "in 200 200 200 200 404", EVENT),
    get("costs", "in 200 200 200 200 200"),
    get("costs_csv", "in 200 200 200 200 200"),
    get("user", "in 200 200 200 200 404", query="user={user}"),
    get("feature", "in 200 200 200 200 404", query="feature={feature}"),
    get("sessions", "in 200 200 200 200 200"),
    get("session", "in 200 200 200 200 404", query="session={session}"),
    get("conversation", "in 200 200 200 200 404", query="conversation={conversation}"),
    get("customers", "in 200 200 200 200 200"),
    get("usage", "in 200 200 200 200 200"),
    get("usage", "in 200 200 200 200 404", query="meter={meter}&user={user}"),
    get("invoices", "in 200 200 200 200 200"),
    post("invoices", "in 403 403 302 302 422", {"customer": "{customer}", "month": "{month}"}),
    get("invoice", "in 200 200 200 200 404", INVOICE),
    get("invoice_pdf", "in 200 200 200 200 404", INVOICE),
    get("invoice_csv", "in 200 200 200 200 404", INVOICE),
    get("invoice_finalize", "in 403 403 200 200 404", DRAFT),
    post("invoice_finalize", "in 403 403 302 302 404", args=DRAFT),
    get("invoice_void", "in 403 403 200 200 404", INVOICE),
    post("invoice_void", "in 403 403 302 302 404", {"reason": "wrong"}, INVOICE),
    get("invoice_credit", "in 403 403 200 200 404", INVOICE),
    # Without the token of a form that was shown.
    post("invoice_credit", "in 403 403 422 422 404", {"reason": "wrong", "amount_usd": "1"}, INVOICE),
    get("exports", "in 200 200 200 200 200"),
    post("exports", "in 302 302 302 302 302", PERIOD | {"format": "csv"}),
    get("export_download", "in 200 200 200 200 404", EXPORT),
    # An export is stopped and removed by who asked for it, here the owner, and by those who administer.
    post("export_stop", "in 404 404 302 302 404", args=EXPORT),
    post("export_remove", "in 404 404 302 302 404", args=EXPORT),
    get("saved_views", "in 200 200 200 200 200"),
    post("saved_views", "in 302 302 302 302 302", {"name": "Mine", "page": "costs", "query": "by=user"}),
    # A view is removed by who keeps it, here the owner, and by those who administer where it is shared.
    post("saved_view_remove", "in 404 404 302 302 404", args=VIEW),
    get("rejected", "in 200 200 200 200 200"),
    get("prices", "in 200 200 200 200 200"),
    get("price", "in 200 200 200 200 200", PRICE),
    get("api_keys", "in 200 200 200 200 200"),
    get("settings", "in 200 200 200 200 200"),
    post("settings", "in 403 403 302 302 302", {"name": "Renamed", "time_zone": "UTC"}),
    get("time_zone_progress", "in 200 200 200 200 200"),
    get("settings_members", "in 200 200 200 200 200"),
    # Without the token of a form that was shown: refused, but only to those who might have sent one.
    post("settings_members", "in 403 403 422 422 422", {"email": "new@example.com", "name": "New", "role": "viewer"}),
    post("settings_member_role", "in 403 403 302 302 404", {"role": "member"}, MEMBERSHIP),
    get("settings_member_remove", "in 403 403 200 200 404", MEMBERSHIP),
    post("settings_member_remove", "in 403 403 302 302 404", args=MEMBERSHIP),
    get("settings_account", "in 200 200 200 200 200"),
    post("settings_account", "in 302 302 302 302 302", {"name": "Renamed"}),
    get("settings_password", "in 302 302 302 302 302"),
    post("settings_password", "in 422 422 422 422 422", {"old_password": "wrong"}),
    post("settings_keyboard", "in 302 302 302 302 302", {"keys": "off"}),
    get("sign_in", "200 302 302 302 302 302"),
    post("sign_in", "200 302 302 302 302 302", {"username": "nobody@example.com", "password": "wrong"}),
    post("sign_out", "in in in in in in"),
    get("shortcuts", "in 200 200 200 200 200"),
    post("theme", "302 302 302 302 302 302", {"theme": "dark"}),
    post("switch_organization", "in 302 302 302 302 404", {"organization": "{organization}"}),
]


# What the admin of one kind of object answers: its list, a new one, one of the organization, its history, its deletion.
# Rights come from roles, so a viewer or a member is sent to sign in as somebody else; Django's admin answers 302, to
# its first page, where an object is not among those that the person sees.
def _objects(
    model: str, named: str, *, add: str = "200 200 200", change: str = "200 200 302", delete: str = "403 403 403"
) -> list[Address]:
    """`change` is what changing it answers: whoever may change it or not, reading it is the same."""
    outside, one = "in in in ", {"object_id": named}
    rows = [
        ("changelist", "200 200 200", "200 200 200", {}),
        ("add", add, add, {}),
        ("change", "200 200 302", change, one),
        ("delete", delete, delete, one),
    ]
    found = [get(f"{model}_history", f"{outside}200 200 302", one)]
    for page, read, changed, args in rows:
        found += [
            get(f"{model}_{page}", outside + read, args),
            post(f"{model}_{page}", outside + changed, args=args),
        ]
    return found


def _read(model: str, named: str) -> list[Address]:
    """What is shown to those who manage the organization and changed by nobody."""
    return _objects(model, named, add="403 403 403", change="403 403 302")


ID, KEY, REVISION = {"id": "{viewer_id}"}, {"key_id": "{key}"}, {"revision_id": "{first_revision}"}
ENDPOINT, BILLED_RATE = {"endpoint_id": "{endpoint}"}, {"object_id": "{billed_rate}"}
INSIDE, REFUSED = "in in in 200 200 200", "in in in 403 403 403"

ADMIN = [
    get("index", INSIDE),
    get("login", "in 403 403 302 302 302"),
    post("login", "in 403 403 302 302 302"),
    post("logout", "302 302 302 in in in"),
    get("password_change", INSIDE),
    post("password_change", INSIDE),
    get("password_change_done", INSIDE),
    get("autocomplete", REFUSED),
    get("jsi18n", INSIDE),
    get("view_on_site", "in in in 404 404 404", {"content_type_id": "1", "object_id": "1"}),
    get("app_list", INSIDE, {"app_label": "events"}),
    get("app_list", INSIDE, {"app_label": "pricing"}),
    *_objects("events_apikey", "{key}"),
    get("events_apikey_rotate", "in in in 200 200 404", KEY),
    post("events_apikey_rotate", "in in in 200 200 404", args=KEY),
    get("events_apikey_revoke", "in in in 200 200 404", KEY),
    post("events_apikey_revoke", "in in in 302 302 404", args=KEY),
    *_objects("events_organization", "{organization}", add="403 403 403"),
    *_objects("events_membership", "{viewers_membership}", delete="200 200 302"),
    *_objects("events_user", "{viewer_id}"),
    get("auth_user_password_change", "in in in 200 200 404", ID),
    post("auth_user_password_change", "in in in 200 200 404", args=ID),
    *_objects("events_trackeduser", "{tracked_user}"),
    # The first revision is everybody's: read by all who administer anything, taken back by superusers alone.
    get("pricing_pricingrevision_changelist", INSIDE),
    get("pricing_pricingrevision_change", INSIDE, {"object_id": "{first_revision}"}),
    get("pricing_pricingrevision_history", INSIDE, {"object_id": "{first_revision}"}),
    get("pricing_pricingrevision_add", REFUSED),
    post("pricing_pricingrevision_add", REFUSED),
    get("pricing_pricingrevision_delete", REFUSED, {"object_id": "{first_revision}"}),
    post("pricing_pricingrevision_delete", REFUSED, args={"object_id": "{first_revision}"}),
    get("pricing_retract", REFUSED, REVISION),
    post("pricing_retract", REFUSED, args=REVISION),
    get("pricing_set_price", INSIDE),
    post("pricing_set_price", INSIDE),
    get("pricing_price_change", INSIDE),
    post("pricing_price_change", INSIDE),
    get("pricing_correction", INSIDE),
    post("pricing_correction", INSIDE),
    get("pricing_entered", INSIDE),
    post("pricing_entered", INSIDE),
    get("app_list", INSIDE, {"app_label": "metering"}),
    *_objects("metering_meter", "{meter}"),
    *_objects("metering_meterrate", "{rate}", delete="200 200 302"),
    # A rate by which an invoice was made stays as it is.
    get("metering_meterrate_change", "in in in 200 200 302", BILLED_RATE),
    post("metering_meterrate_change", "in in in 403 403 302", args=BILLED_RATE),
    get("metering_meterrate_delete", "in in in 403 403 302", BILLED_RATE),
    post("metering_meterrate_delete", "in in in 403 403 302", args=BILLED_RATE),
    *_objects("metering_plan", "{plan}"),
    # Nothing of it can be changed but its end, and it may have none.
    *_objects("metering_subscription", "{subscription}", change="302 302 302"),
    *_objects("metering_credit", "{credit}"),
    *_objects("metering_billingsettings", "{billing_settings}"),
    *_objects("metering_webhookendpoint", "{endpoint}"),
    # Without the token of a form that was shown: no secret is made, and told so.
    get("metering_webhookendpoint_rotate", "in in in 200 200 404", ENDPOINT),
    post("metering_webhookendpoint_rotate", "in in in 200 200 404", args=ENDPOINT),
    *_read("metering_webhookdelivery", "{delivery}"),
    *_read("metering_invoice", "{invoice}"),
    *_read("metering_usagerecord", "{record}"),
]

NAMED = [
    *(replace(address, name=f"dashboard:{address.name}") for address in DASHBOARD),
    *(replace(address, name=f"admin:{address.name}") for address in ADMIN),
]

UNNAMED = {
    "admin/events/apikey/<path:object_id>/",
    "admin/events/membership/<path:object_id>/",
    "admin/events/organization/<path:object_id>/",
    "admin/events/trackeduser/<path:object_id>/",
    "admin/events/user/<path:object_id>/",
    *(
        f"admin/metering/{model}/<path:object_id>/"
        for model in (
            "billingsettings",
            "credit",
            "invoice",
            "meter",
            "meterrate",
            "plan",
            "subscription",
            "usagerecord",
            "webhookdelivery",
            "webhookendpoint",
        )
    ),
    "admin/pricing/pricingrevision/<path:object_id>/",
    r"admin/(?P<url>.*)$",
}
"""Django's own: the old addresses of objects, which lead to the new ones, and everything else below /admin/: 404."""

NATIVE = [
    Address("POST", "/api/events", "401 401 401 401 401 401"),
    Address("POST", "/api/events/batch", "401 401 401 401 401 401"),
    Address("POST", "/api/v1/price", "401 401 401 401 401 401"),
    Address("POST", "/api/v1/sdk/track", "401 401 401 401 401 401"),
    Address("POST", "/v1/traces", "401 401 401 401 401 401"),
    Address("POST", "/v1/logs", "401 401 401 401 401 401"),
    Address("POST", "/v1/metrics", "401 401 401 401 401 401"),
    Address("GET", "/healthz", "200 200 200 200 200 200"),
    # Of a process that has not started: no database.
    Address("GET", "/readyz", "503 503 503 503 503 503"),
]
"""Answered without Django: whoever is signed in needs a key for the API like everybody else."""
