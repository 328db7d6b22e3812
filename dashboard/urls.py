"""The dashboard's addresses. A page's noun is its view, its URL, its template, its page module and its test."""

from django.urls import path

from dashboard import views
from dashboard.sign_in import SignIn, SignOut

app_name = "dashboard"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("requests/", views.requests, name="requests"),
    path("requests/<str:event_id>/", views.request_detail, name="request"),
    path("rejected/", views.rejected, name="rejected"),
    path("sign-in/", SignIn.as_view(), name="sign_in"),
    path("sign-out/", SignOut.as_view(), name="sign_out"),
    path("theme/", views.theme, name="theme"),
    path("organization/", views.switch_organization, name="switch_organization"),
]
