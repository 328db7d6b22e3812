"""What the admin leaves out."""

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob


def test_the_job_queue_is_not_in_the_admin() -> None:
    assert ProcrastinateJob not in admin.site._registry
    assert not [model for model in admin.site._registry if model._meta.app_label == "procrastinate"]
