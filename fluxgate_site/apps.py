from django.apps import AppConfig


class FluxgateSiteConfig(AppConfig):
    name = "fluxgate_site"
