"""What ingestion is compared with: a Django view that validates the same event and answers, without a database."""

import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

from events.schema import parse_event

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="a benchmark signs nothing", MIDDLEWARE=[])


def validate(request: HttpRequest) -> HttpResponse:
    """Read the event as the product does, and answer in its form."""
    event = parse_event(request.body, int(time.time() * 1000))
    return HttpResponse(f'{{"id":"none","cost":null,"status":"{event.status}"}}', content_type="application/json")


urlpatterns = [path("api/events", validate)]
application = get_wsgi_application()
