"""Exports: what the filters find as a file, at once or prepared, and the files that were prepared."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db import OperationalError
from django.urls import reverse

from dashboard import formats
from dashboard.export_work import KEPT, filters_of
from dashboard.filters import Filters
from dashboard.formats import count, file_size
from dashboard.models import Export, ExportFormat, ExportState
from dashboard.pages.links import requests_href
from dashboard.pages.parts import Frame, Option
from dashboard.queries import exports as queries
from dashboard.queries import usage
from dashboard.queries.reading import snapshot
from dashboard.visit import Visit
from events.models import Organization, Role

DIRECT_ROWS = 50_000
"""So many requests are written while they are sent; more of them are prepared."""
TONES = {ExportState.READY: "good", ExportState.FAILED: "bad"}


@dataclass(frozen=True)
class ExportLink:
    """One way to take the filters' requests along."""

    label: str
    href: str


@dataclass(frozen=True)
class ExportRow:
    """One prepared export, as the list shows it."""

    id: int
    period_text: str
    conditions: Sequence[tuple[str, str]]
    requests_href: str
    format: str
    state: str
    tone: str
    text: str
    """How far it is, or what became of it."""
    done: int
    total: int
    """0: not known yet, or there is nothing to wait for."""
    size: str
    asked: str
    asked_title: str
    until: str
    until_title: str
    download_href: str
    """'' unless there is a file."""
    stop_href: str
    """'' unless it can be stopped by whoever looks."""
    remove_href: str


@dataclass(frozen=True)
class Files:
    """The organization's prepared exports, newest first; polled while one of them is unfinished."""

    rows: Sequence[ExportRow]
    revision: str
    """What the poll sends back, so that an answer without news can be empty."""
    poll_href: str
    is_live: bool


@dataclass(frozen=True)
class FilesPage:
    """The variable of the `files` fragment when it is asked for alone."""

    files: Files


@dataclass(frozen=True)
class Exports:
    """All that `exports.html` prints."""

    frame: Frame
    period_text: str
    conditions: Sequence[tuple[str, str]]
    count_text: str
    is_too_many: bool
    """Whether it is more than one answer may hold, so that a file has to be prepared."""
    is_empty: bool
    direct_href: str
    change_href: str
    action: str
    hidden: Sequence[tuple[str, str]]
    formats: Sequence[Option]
    kept_days: int
    problem: str
    """Why a file was refused just now; '' when none was."""
    files: Files


def build(visit: Visit, filters: Filters, person_id: int, problem: str = "") -> Exports:
    """Read everything in one snapshot."""
    own = _own(filters)
    with snapshot():
        found, is_exact = _found(visit.organization_id, own)
        listed = files(visit, person_id, own)
    return Exports(
        frame=visit.frame("Exports", "requests", own.environment),
        period_text=own.period_text,
        conditions=_conditions(own),
        count_text=_count_text(found, is_exact=is_exact),
        is_too_many=found > DIRECT_ROWS,
        is_empty=not found,
        direct_href=own.href(reverse("dashboard:requests_csv")),
        change_href=requests_href(own),
        action=exports_href(own),
        hidden=tuple(own.words().items()),
        formats=[Option(label, value) for value, label in ExportFormat.choices],
        kept_days=KEPT.days,
        problem=problem,
        files=listed,
    )


def files(visit: Visit, person_id: int, filters: Filters) -> Files:
    """The list of prepared exports."""
    found = list(
        Export.objects.filter(organization_id=visit.organization_id).select_related("created_by", "organization")
    )
    revision = _revision(found)
    return Files(
        rows=[_row(export, visit, person_id, filters) for export in found],
        revision=revision,
        poll_href=_with(exports_href(filters), f"rev={revision}"),
        is_live=any(export.is_unfinished for export in found),
    )


def fits(visit: Visit, filters: Filters) -> bool:
    """Whether one answer may hold all that the filters find. What takes too long to count does not."""
    try:
        with snapshot():
            return queries.capped_count(visit.organization_id, filters, DIRECT_ROWS + 1) <= DIRECT_ROWS
    except OperationalError:
        return False


def find(visit: Visit, export_id: int) -> Export | None:
    """An export of the visit's organization."""
    return (
        Export.objects.filter(pk=export_id, organization_id=visit.organization_id)
        .select_related("organization")
        .first()
    )


def may_change(export: Export, visit: Visit, person_id: int) -> bool:
    """Whoever asked for it may stop or remove it, and so may admins."""
    return export.created_by_id == person_id or visit.has_role(Role.ADMIN)


def export_links(filters: Filters) -> tuple[ExportLink, ...]:
    """The ways to take along what a list of requests shows: CSV at once, and files that are prepared.

    Links without `download`: the answer may also be a page, when there is too much or others are at it.
    """
    own = _own(filters)
    return (
        ExportLink("CSV", own.href(reverse("dashboard:requests_csv"))),
        ExportLink("Parquet, or a large CSV", exports_href(own)),
    )


def exports_href(filters: Filters) -> str:
    """The page of exports, about to export these filters."""
    return _own(filters).href(reverse("dashboard:exports"))


def file_name(organization_id: int, filters: Filters, noun: str, suffix: str) -> str:
    """How a file is named: "acme-requests-2026-10-23-to-2026-11-21.csv"."""
    slug = Organization.objects.values_list("slug", flat=True).get(pk=organization_id)
    pattern = "%Y-%m-%d" if filters.whole_days else "%Y-%m-%dT%H%M"
    first = filters.start.astimezone(filters.zone)
    last = filters.end.astimezone(filters.zone)
    days = [filters.days[0], filters.days[-1]] if filters.whole_days else [first, last]
    period = "-to-".join(dict.fromkeys(f"{day:{pattern}}" for day in days))
    environment = "" if filters.environment == "live" else f"-{filters.environment}"
    return f"{slug}-{noun}{environment}-{period}.{suffix}"


def export_name(export: Export) -> str:
    """How the file of a prepared export is named."""
    return file_name(export.organization_id, filters_of(export), "requests", export.format)


def _own(filters: Filters) -> Filters:
    """The filters without what means nothing to an export."""
    return replace(filters, page_words=(), compare="prev")


def _found(organization_id: int, filters: Filters) -> tuple[int, bool]:
    """How many requests there are, and whether that is exact: rollups are, a scan of events up to its cap."""
    if usage.source_of(filters) != "events":
        return usage.totals(organization_id, filters).events, True
    found = queries.capped_count(organization_id, filters, DIRECT_ROWS + 1)
    return found, found <= DIRECT_ROWS


def _count_text(found: int, *, is_exact: bool) -> str:
    if not is_exact:
        return f"More than {count(DIRECT_ROWS)} requests"
    return "1 request" if found == 1 else f"{count(found)} requests"


def _conditions(filters: Filters) -> tuple[tuple[str, str], ...]:
    return tuple((label, value) for label, value, _ in filters.chips())


def _row(export: Export, visit: Visit, person_id: int, shown: Filters) -> ExportRow:
    filters = filters_of(export)
    may = may_change(export, visit, person_id)
    by = export.created_by
    return ExportRow(
        id=export.pk,
        period_text=filters.period_text,
        conditions=_conditions(filters),
        # The hours of a day that has passed have no words in the filter language.
        requests_href=requests_href(replace(filters, period="custom")) if filters.whole_days else "",
        format=ExportFormat(export.format).label,
        state=ExportState(export.state).label,
        tone=TONES.get(ExportState(export.state), ""),
        text=_text(export),
        done=export.rows_done,
        total=export.rows_total or 0 if export.is_unfinished else 0,
        size=file_size(export.size_bytes) if export.size_bytes else "",
        asked=f"{formats.ago(export.created_at, visit.now)}{f' by {by.name or by.email}' if by else ''}",
        asked_title=formats.moment(export.created_at, visit.zone),
        until=_until(export, visit),
        until_title=formats.moment(export.expires_at, visit.zone),
        download_href=_href("export_download", export) if export.is_available(visit.now) else "",
        stop_href=shown.href(_href("export_stop", export)) if may and export.is_unfinished else "",
        remove_href=shown.href(_href("export_remove", export)) if may and not export.is_unfinished else "",
    )


def _text(export: Export) -> str:
    match export.state:
        case ExportState.WAITING:
            return "Waiting for its turn"
        case ExportState.RUNNING if export.rows_total is None:
            return "Counting requests"
        case ExportState.RUNNING:
            return f"{count(export.rows_done)} of {count(export.rows_total)} requests"
        case ExportState.READY:
            return "1 request" if export.rows_done == 1 else f"{count(export.rows_done)} requests"
        case ExportState.STOPPED:
            return "There is no file"
    return export.problem


def _until(export: Export, visit: Visit) -> str:
    if export.state != ExportState.READY:
        return ""
    return "expired" if export.expires_at <= visit.now else formats.short_day(export.expires_at.astimezone(visit.zone))


def _href(name: str, export: Export) -> str:
    return reverse(f"dashboard:{name}", args=[export.pk])


def _revision(found: Iterable[Export]) -> str:
    """Changes with whatever the list shows of the exports."""
    shown = ((one.pk, one.state, one.rows_done, one.rows_total, one.size_bytes) for one in found)
    # Not hash(): each process has its own for texts, and the next poll may reach another one.
    return f"{zlib.crc32(repr(list(shown)).encode()):x}"


def _with(href: str, more: str) -> str:
    return f"{href}{'&' if '?' in href else '?'}{more}"
