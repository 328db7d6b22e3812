"""Django's WSGI application: every page. `asgi.py` serves it beside the ingest paths."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxgate_site.settings")
application = get_wsgi_application()
