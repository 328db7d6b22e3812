"""The dashboard's addresses. A page's noun is its view, its URL, its template, its page module and its test."""

from django.urls import path, register_converter

from dashboard import views
from dashboard.sign_in import SignIn, SignOut


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
    path("", views.overview, name="overview"),
    path("requests/", views.requests, name="requests"),
    path("requests/<str:event_id>/", views.request_detail, name="request"),
    path("costs/", views.costs, name="costs"),
    # Ids and names are any text of the organization's: slashes, dots and spaces survive in a query, not in a path.
    path("costs/user/", views.user, name="user"),
    path("costs/feature/", views.feature, name="feature"),
    path("rejected/", views.rejected, name="rejected"),
    path("pricing/", views.prices, name="prices"),
    path("pricing/<str:provider>/<model_key:key>/", views.price, name="price"),
    path("sign-in/", SignIn.as_view(), name="sign_in"),
    path("sign-out/", SignOut.as_view(), name="sign_out"),
    path("theme/", views.theme, name="theme"),
    path("organization/", views.switch_organization, name="switch_organization"),
]
