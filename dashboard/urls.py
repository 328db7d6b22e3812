"""The dashboard's addresses. A page's noun is its view, its URL, its template, its page module and its test."""

from django.urls import path, register_converter

from dashboard.sign_in import SignIn, SignOut
from dashboard.views import (
    exports,
    invoices,
    keys,
    metering,
    preferences,
    prices,
    saved_views,
    sessions,
    settings,
    usage,
)


class ModelKey:
    """A model's name in the catalog: any text. Django's `path` leaves out line ends, and names come from people."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ModelKey, "model_key")

app_name = "dashboard"
urlpatterns = [
    path("", usage.overview, name="overview"),
    path("requests/", usage.requests, name="requests"),
    path("requests/export.csv", exports.requests_csv, name="requests_csv"),
    path("requests/columns/", preferences.request_columns, name="request_columns"),
    path("requests/<str:event_id>/", usage.request_detail, name="request"),
    path("costs/", usage.costs, name="costs"),
    path("costs/export.csv", exports.costs_csv, name="costs_csv"),
    # Ids and names are any text of the organization's: slashes, dots and spaces survive in a query, not in a path.
    path("costs/user/", usage.user, name="user"),
    path("costs/feature/", usage.feature, name="feature"),
    path("sessions/", sessions.sessions, name="sessions"),
    path("sessions/session/", sessions.session, name="session"),
    path("sessions/conversation/", sessions.conversation, name="conversation"),
    path("usage/", metering.usage, name="usage"),
    path("customers/", metering.customers, name="customers"),
    path("invoices/", invoices.invoices, name="invoices"),
    path("invoices/<int:invoice_id>/", invoices.invoice, name="invoice"),
    path("invoices/<int:invoice_id>/invoice.pdf", invoices.pdf, name="invoice_pdf"),
    path("invoices/<int:invoice_id>/lines.csv", invoices.csv, name="invoice_csv"),
    path("invoices/<int:invoice_id>/finalize/", invoices.finalize, name="invoice_finalize"),
    path("invoices/<int:invoice_id>/void/", invoices.void, name="invoice_void"),
    path("invoices/<int:invoice_id>/credit/", invoices.credit, name="invoice_credit"),
    path("exports/", exports.exports, name="exports"),
    path("exports/<int:export_id>/stop", exports.stop, name="export_stop"),
    path("exports/<int:export_id>/remove", exports.remove, name="export_remove"),
    path("exports/<int:export_id>/download", exports.download, name="export_download"),
    path("views/", saved_views.views, name="saved_views"),
    path("views/<int:view_id>/remove/", saved_views.remove, name="saved_view_remove"),
    path("rejected/", usage.rejected, name="rejected"),
    path("pricing/", prices.prices, name="prices"),
    path("pricing/<str:provider>/<model_key:key>/", prices.price, name="price"),
    path("keys/", keys.api_keys, name="api_keys"),
    path("settings/", settings.settings, name="settings"),
    path("settings/time-zone/", settings.time_zone_progress, name="time_zone_progress"),
    path("settings/members/", settings.members, name="settings_members"),
    path("settings/members/<int:membership_id>/role/", settings.member_role, name="settings_member_role"),
    path("settings/members/<int:membership_id>/remove/", settings.member_remove, name="settings_member_remove"),
    path("settings/account/", settings.account, name="settings_account"),
    path("settings/account/password/", settings.password, name="settings_password"),
    path("settings/account/keyboard/", settings.keyboard, name="settings_keyboard"),
    path("sign-in/", SignIn.as_view(), name="sign_in"),
    path("sign-out/", SignOut.as_view(), name="sign_out"),
    path("shortcuts/", preferences.shortcuts, name="shortcuts"),
    path("theme/", preferences.theme, name="theme"),
    path("organization/", preferences.switch_organization, name="switch_organization"),
]
