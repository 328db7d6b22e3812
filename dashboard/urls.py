"""The dashboard's addresses. A page's noun is its view, its URL, its template, its page module and its test."""

from django.urls import path, register_converter

from dashboard.sign_in import SignIn, SignOut
from dashboard.views import preferences, prices, usage


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
    path("requests/<str:event_id>/", usage.request_detail, name="request"),
    path("costs/", usage.costs, name="costs"),
    # Ids and names are any text of the organization's: slashes, dots and spaces survive in a query, not in a path.
    path("costs/user/", usage.user, name="user"),
    path("costs/feature/", usage.feature, name="feature"),
    path("rejected/", usage.rejected, name="rejected"),
    path("pricing/", prices.prices, name="prices"),
    path("pricing/<str:provider>/<model_key:key>/", prices.price, name="price"),
    path("sign-in/", SignIn.as_view(), name="sign_in"),
    path("sign-out/", SignOut.as_view(), name="sign_out"),
    path("theme/", preferences.theme, name="theme"),
    path("organization/", preferences.switch_organization, name="switch_organization"),
]
