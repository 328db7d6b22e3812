"""Asking for a file of requests, and changing one's mind."""

from dataclasses import replace
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Q, Sum

from dashboard import export_files, jobs
from dashboard.export_work import KEPT, MOST_BYTES
from dashboard.filters import Filters
from dashboard.formats import file_size
from dashboard.models import UNFINISHED, Export, ExportFormat, ExportState
from events.models import Organization

MOST_FILES = 20
MOST_UNFINISHED = 3


class Refused(Exception):
    """The organization may not have another file now; the text says what to do."""


def ask(organization_id: int, person_id: int, file_format: str, filters: Filters, now: datetime) -> Export:
    """Queue a file of what the filters mean now. Raises Refused beyond the limits of the organization."""
    own = replace(filters, page_words=(), compare="prev")
    with transaction.atomic():
        # Two at once must not both find room for one.
        Organization.objects.select_for_update(no_key=True).get(pk=organization_id)
        if problem := _problem(organization_id):
            raise Refused(problem)
        export = Export.objects.create(
            organization_id=organization_id,
            created_by_id=person_id,
            created_at=now,
            format=ExportFormat(file_format),
            query=own.query(),
            start_at=own.start,
            end_at=own.end,
            expires_at=now + KEPT,
        )
        jobs.defer_write_exports()
    return export


def stop(export: Export) -> None:
    """Write no more of it; nothing changes when it is finished already."""
    Export.objects.filter(pk=export.pk, state__in=UNFINISHED).update(state=ExportState.STOPPED, size_bytes=0)


def remove(export: Export) -> None:
    """Delete the export and its file."""
    path = export_files.path_of(export)
    export.delete()
    path.unlink(missing_ok=True)


def _problem(organization_id: int) -> str:
    """Why there is no room for another file; '' when there is."""
    found = Export.objects.filter(organization_id=organization_id).aggregate(
        files=Count("pk"), unfinished=Count("pk", filter=Q(state__in=UNFINISHED)), size=Sum("size_bytes", default=0)
    )
    if found["unfinished"] >= MOST_UNFINISHED:
        return f"{MOST_UNFINISHED} files are being prepared already. Wait for one of them, or stop it."
    if found["files"] >= MOST_FILES:
        return f"Your organization has {MOST_FILES} files here, which is the most. Remove one that is not needed."
    if found["size"] >= MOST_BYTES:
        return f"The files of your organization take {file_size(found['size'])} already. Remove one that is not needed."
    return ""
