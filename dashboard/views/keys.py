"""The page of API keys. They are made, rotated and revoked in the admin."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from dashboard.access import MemberRequest, member_required
from dashboard.pages import api_keys as api_keys_page
from dashboard.rendering import render_page


@require_GET
@member_required()
def api_keys(request: MemberRequest) -> HttpResponse:
    """The organization's keys with their use."""
    return render_page(request, "dashboard/api_keys.html", api_keys_page.build(request.visit))
