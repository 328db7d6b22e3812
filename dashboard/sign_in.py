"""Signing in and out: Django's views with our template, a limit on guesses, and a cache that is cleared at the end."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, LogoutView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from events import sign_in_throttle


class ThrottledForm(AuthenticationForm):
    """Django's form, which does not look at the password of who has failed too often."""

    def clean(self) -> dict[str, Any]:
        assert self.request is not None
        folder, address = Path(settings.DATA_DIR) / "sign_in", self.request.META.get("REMOTE_ADDR", "")
        email, now = self.cleaned_data.get("username", ""), datetime.now(UTC)
        if sign_in_throttle.is_refused(folder, email, address, now):
            raise ValidationError("Too many failed tries. Wait 15 minutes, then try again.", code="throttled")
        try:
            cleaned = super().clean()
        except ValidationError:
            sign_in_throttle.record(folder, email, address, now, succeeded=False)
            raise
        if self.get_user() is not None:
            sign_in_throttle.record(folder, email, address, now, succeeded=True)
        return cleaned


class SignIn(LoginView):
    """The sign-in page; `next` is followed when it stays on this host."""

    template_name = "dashboard/sign_in.html"
    authentication_form = ThrottledForm
    redirect_authenticated_user = True


class SignOut(LogoutView):
    """Ends the session (POST only) and asks the browser to drop the pages it holds."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().dispatch(request, *args, **kwargs)
        if request.method == "POST":
            response["Clear-Site-Data"] = '"cache"'
        return response
