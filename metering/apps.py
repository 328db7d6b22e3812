"""The app's name for Django."""

from django.apps import AppConfig


class MeteringConfig(AppConfig):
    name = "metering"
