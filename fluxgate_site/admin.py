"""What the admin leaves out: the job queue. How far a job is stands on the page that started it."""

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob

admin.site.unregister(ProcrastinateJob)
