"""The endpoints of the REST API that read what the pages show; `fluxgate_site/settings.py` puts them into it."""
