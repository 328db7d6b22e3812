"""Pages and the admin. The ingest endpoints are not here: `asgi.py` answers them without Django's handler."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("metering.api.urls")),
    path("", include("dashboard.urls")),
]

handler500 = "dashboard.views.errors.server_error"
