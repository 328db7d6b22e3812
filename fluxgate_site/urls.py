"""Pages, the admin and the REST API. The native endpoints are not here: `asgi.py` answers them without Django."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("metering.api.urls")),
    path("", include("dashboard.urls")),
]

handler400 = "fluxgate_site.errors.bad_request"
handler500 = "fluxgate_site.errors.server_error"
