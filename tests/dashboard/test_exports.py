"""Requests as files: at once, prepared, and who may have them."""

import csv
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from django.core.signals import request_finished
from django.db import close_old_connections, connection
from django.test import Client
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from dashboard import downloads, export_files, export_work, exporting, jobs
from dashboard.models import Export, ExportState
from dashboard.pages import exports as exports_page
from dashboard.queries import exports as queries
from events.event_columns import COLUMNS
from events.models import Flag, Membership, Organization, Role
from pricing.costs import Usage
from tests.dashboard.conftest import SignIn, htmx
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.usefixtures("data_dir")

ROOT = Path(__file__).resolve().parent.parent.parent
LARGEST = 9_999_999_999_999_999_999_999_999
TRICKY: dict[str, Any] = {
    "metadata": '{"n": 0.1000, "big": 12345678901234567890, "text": "ä\\"\\n"}',
    "error_message": '=cmd|"x",\r\nb',
}


def calls(now: datetime) -> list[Call]:
    """Requests with what is hard to write; all of them yesterday."""
    at = now - timedelta(days=1)
    flags = Flag.TEXT_CUT.value | Flag.TEXT_CLEANED.value
    return [
        Call(at=at, cost=LARGEST, feature="+chat", step="－draft", user="@ann", session_id="s", **TRICKY, flags=flags),
        Call(at=at + timedelta(seconds=1), cost=1, status="ERROR", tier="batch", provider_usage='{"a": [1]}'),
        Call(at=at + timedelta(seconds=2), cost=None, latency_ms=None, usage=Usage(0, 0), region="us"),
        Call(at=at + timedelta(seconds=3), cost=5 * USD // 3, feature="other"),
    ]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows are several batches, and several groups of a Parquet file."""
    monkeypatch.setattr(queries, "BATCH_ROWS", 2)
    monkeypatch.setattr(queries, "STREAM_ROWS", 2)
    monkeypatch.setattr("dashboard.parquet_files.GROUP_ROWS", 3)


def text_of(response: Any) -> str:
    return b"".join(response).decode()


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def write_files(clock: datetime) -> None:
    export_work.run_pending(lambda: False, lambda: clock)


def ask(client: Client, **words: str) -> Export:
    assert client.post("/exports/", words).status_code == 302
    return Export.objects.latest("pk")


def test_csv_has_every_column_of_every_request_that_the_filters_find(
    member: Client, organization: Organization, now: datetime, small_batches: None
) -> None:
    ids = store_events(organization, calls(now))
    store_events(OrganizationFactory(), calls(now))
    response = member.get("/requests/export.csv?period=7d")
    first, second, third, last = rows = table(text_of(response))
    assert list(first) == list(COLUMNS)
    assert [row["id"] for row in rows] == [f"evt_{event_id.hex}" for event_id in ids]
    at = (now - timedelta(days=1)).replace(microsecond=(now.microsecond // 1000) * 1000)
    assert first["occurred_at"] == at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    guarded = ("error_message", "feature", "step", "user_id")
    assert [first[name] for name in guarded] == ['\'=cmd|"x",\r\nb', "'+chat", "'－draft", "'@ann"]
    assert first["metadata"] == '{"n": 0.1000, "big": 12345678901234567890, "text": "ä\\"\\n"}'
    assert [row["cost_usd"] for row in rows] == ["9999999999999.999999999999", "0.000000000001", "", "1.666666666666"]
    assert (first["flags"], first["environment"], first["is_streamed"]) == ("text_cut text_cleaned", "live", "")
    assert (second["status"], second["service_tier"], second["provider_usage"]) == ("ERROR", "batch", '{"a": [1]}')
    assert (third["latency_ms"], third["price_status"], third["input_tokens"]) == ("", "unpriced_model", "0")
    assert (third["region"], last["latency_ms"], last["cached_tokens"]) == ("us", "812.4", "1000")
    assert [row["feature"] for row in table(text_of(member.get("/requests/export.csv?feature=other")))] == ["other"]


def test_csv_is_an_attachment_that_nobody_keeps(member: Client, organization: Organization, now: datetime) -> None:
    response = member.get("/requests/export.csv?from=2026-03-01&to=2026-03-31&environment=test")
    name = f"{organization.slug}-requests-test-2026-03-01-to-2026-03-31.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert (response["X-Content-Type-Options"], response["Cache-Control"]) == ("nosniff", "private, no-store")
    assert text_of(response).count("\r\n") == 1, "the head alone"


def test_more_than_one_answer_holds_leads_to_a_prepared_file(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_events(organization, calls(now))
    monkeypatch.setattr(exports_page, "DIRECT_ROWS", 3)
    response = member.get("/requests/export.csv?period=7d&q=gpt&sort=cost")
    assert (response.status_code, response["Location"]) == (302, "/exports/?period=7d&q=gpt")
    page = member.get(response["Location"]).content.decode()
    assert "More than 3 requests" in page
    assert "That is more than one download holds." in page
    assert "/requests/export.csv" not in page


@pytest.fixture
def kept_connection() -> Iterator[None]:
    """The end of a request must not close the test's own connection."""
    request_finished.disconnect(close_old_connections)
    yield
    request_finished.connect(close_old_connections)


def test_only_so_many_are_written_at_once_and_one_that_nobody_reads_makes_room(
    member: Client, kept_connection: None
) -> None:
    for _ in range(downloads.AT_ONCE + 1):
        unread = member.get("/requests/export.csv")
        assert unread.status_code == 200
        unread.close()
    reading = [member.get("/requests/export.csv") for _ in range(downloads.AT_ONCE)]
    busy: Any = member.get("/requests/export.csv")
    assert (busy.status_code, busy["Retry-After"]) == (503, "10")
    assert "Other files are being written" in busy.content.decode()
    for response in reading:
        text_of(response)
    assert text_of(member.get("/requests/export.csv")).startswith("id,")


def test_a_prepared_csv_is_what_the_direct_one_says(
    member: Client, organization: Organization, now: datetime, small_batches: None
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d", status="ok")
    assert [job.task_name for job in ProcrastinateJob.objects.all()] == ["dashboard.write_exports"]
    write_files(datetime.now(UTC))
    export.refresh_from_db()
    assert (export.state, export.rows_done, export.rows_total, export.attempts) == (ExportState.READY, 3, 3, 1)
    response = member.get(f"/exports/{export.pk}/download")
    assert text_of(response) == text_of(member.get("/requests/export.csv?period=7d&status=ok"))
    assert response["Cache-Control"] == "private, no-store"
    assert response["Content-Disposition"].endswith(f'{(now - timedelta(days=6)):%Y-%m-%d}-to-{now:%Y-%m-%d}.csv"')
    assert export.size_bytes == export_files.path_of(export).stat().st_size
    assert [path.name for path in export_files.folder().iterdir()] == [f"{export.pk}.csv"]


def test_parquet_holds_exact_values_of_their_own_types(
    member: Client, organization: Organization, now: datetime, small_batches: None
) -> None:
    ids = store_events(organization, calls(now))
    export = ask(member, period="7d", format="parquet")
    write_files(datetime.now(UTC))
    file = pq.ParquetFile(export_files.path_of(export))
    assert (file.num_row_groups, file.metadata.row_group(0).num_rows) == (2, 3)
    types = {field.name: str(field.type) for field in file.schema_arrow}
    assert types["cost_usd"] == "decimal128(38, 12)"
    assert types["occurred_at"] == "timestamp[us, tz=UTC]"
    assert types["model"] == "dictionary<values=string, indices=int32, ordered=0>"
    assert types["input_tokens"] == "int64"
    rows = file.read().to_pylist()
    assert [row["id"] for row in rows] == [f"evt_{event_id.hex}" for event_id in ids]
    assert (rows[0]["feature"], rows[0]["error_message"]) == ("+chat", '=cmd|"x",\r\nb'), "no spreadsheet reads this"
    assert rows[0]["metadata"] == '{"n": 0.1000, "big": 12345678901234567890, "text": "ä\\"\\n"}'
    assert (rows[1]["step"], rows[2]["cost_usd"], rows[2]["latency_ms"]) == (None, None, None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(cost_picousd), sum(input_tokens) FROM event")
        picousd, tokens = cursor.fetchone()
    assert sum(row["cost_usd"] or 0 for row in rows) == picousd.scaleb(-12)
    assert sum(row["input_tokens"] for row in rows) == tokens


def test_no_web_process_loads_pyarrow() -> None:
    code = "import fluxgate_site.asgi, dashboard.urls, dashboard.jobs, sys; sys.exit('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_server_that_can_send_files_by_itself_is_told_where_the_file_lies(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    write_files(now)
    scope: dict[str, Any] = {"asgi.scope": {"extensions": {"http.response.pathsend": {}}}}
    response: Any = member.get(f"/exports/{export.pk}/download", **scope)
    assert response["X-FluxGate-File"] == quote(str(export_files.path_of(export)))
    assert (response["Content-Length"], response.content) == (str(Export.objects.get().size_bytes), b"")
    export_files.path_of(export).unlink()
    assert member.get(f"/exports/{export.pk}/download").status_code == 404


def test_what_a_period_means_is_settled_when_the_file_is_asked_for(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    later = datetime.now(UTC) + timedelta(minutes=1)
    store_events(organization, [Call(at=later, feature="received later")])
    Export.objects.update(created_at=export.created_at - timedelta(days=30))
    store_events(organization, [Call(at=now - timedelta(days=20))])
    Export.objects.update(created_at=export.created_at)
    write_files(now + timedelta(days=30))
    export.refresh_from_db()
    assert export.rows_done == 4
    assert export.expires_at == now + timedelta(days=30) + export_work.KEPT


def test_one_that_is_stopped_leaves_no_file(
    member: Client, organization: Organization, now: datetime, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    read = queries.batch

    def stopped_meanwhile(*arguments: Any) -> Any:
        assert member.post(f"/exports/{export.pk}/stop").status_code == 302
        return read(*arguments)

    monkeypatch.setattr(queries, "batch", stopped_meanwhile)
    write_files(now)
    export.refresh_from_db()
    assert (export.state, export.size_bytes) == (ExportState.STOPPED, 0)
    assert list(export_files.folder().iterdir()) == []
    assert member.get(f"/exports/{export.pk}/download").status_code == 404


def test_a_worker_that_is_told_to_stop_leaves_it_to_the_next_one(
    member: Client, organization: Organization, now: datetime, small_batches: None
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    answers = iter([False, False, False, True, True, True])
    export_work.run_pending(lambda: next(answers), lambda: now)
    export.refresh_from_db()
    assert (export.state, export.rows_done, export.attempts) == (ExportState.WAITING, 2, 0)
    assert list(export_files.folder().iterdir()) == []
    write_files(now)
    export.refresh_from_db()
    assert (export.state, export.rows_done) == (ExportState.READY, 4)


@pytest.mark.parametrize(("attempts", "state"), [(1, ExportState.READY), (3, ExportState.FAILED)])
def test_what_a_dead_worker_left_is_begun_anew_but_not_for_ever(
    member: Client, organization: Organization, now: datetime, attempts: int, state: ExportState
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    Export.objects.update(state=ExportState.RUNNING, attempts=attempts, rows_done=2)
    export_files.part_of(export).write_text("half a li")
    write_files(now)
    export.refresh_from_db()
    assert export.state == state
    assert not export_files.part_of(export).exists() or state == ExportState.FAILED


def test_while_one_process_writes_another_leaves_it_alone(
    member: Client, organization: Organization, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = ask(member, period="7d")
    monkeypatch.setattr(queries, "fetch", lambda *_: [(False,)])
    write_files(now)
    export.refresh_from_db()
    assert export.state == ExportState.WAITING


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("FREE_BYTES", 10**18, "The server&#x27;s disk is nearly full."),
        ("MOST_BYTES", 100, "The files of your organization would take more than 100 bytes."),
    ],
)
def test_a_file_that_there_is_no_room_for_fails_in_words(
    member: Client,
    organization: Organization,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
    said: str,
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    monkeypatch.setattr(export_work, limit, value)
    write_files(now)
    export.refresh_from_db()
    assert export.state == ExportState.FAILED
    assert said in member.get("/exports/").content.decode()
    assert list(export_files.folder().iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MOST_UNFINISHED", 1, "1 files are being prepared already. Wait for one of them, or stop it."),
        ("MOST_FILES", 1, "Your organization has 1 files here, which is the most."),
        ("MOST_BYTES", 0, "The files of your organization take 0 bytes already."),
    ],
)
def test_beyond_the_limits_of_the_organization_another_file_is_refused(
    member: Client,
    organization: Organization,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
    said: str,
) -> None:
    store_events(organization, calls(now))
    ask(member, period="7d")
    monkeypatch.setattr(exporting, limit, value)
    response = member.post("/exports/", {"period": "7d"})
    assert response.status_code == 409
    assert said in response.content.decode()
    assert Export.objects.count() == 1


def test_every_member_downloads_but_only_who_asked_or_admins_stop_and_remove(
    organization: Organization, sign_in: SignIn, now: datetime
) -> None:
    store_events(organization, calls(now))
    viewer, other, admin = sign_in(organization, Role.VIEWER), sign_in(organization), sign_in(organization, Role.ADMIN)
    stranger = sign_in(OrganizationFactory(), Role.OWNER)
    export = ask(viewer, period="7d")
    assert export.created_by == Membership.objects.get(role=Role.VIEWER).user
    for refused in (other, stranger):
        assert refused.post(f"/exports/{export.pk}/stop").status_code == 404
    write_files(now)
    assert [who.get(f"/exports/{export.pk}/download").status_code for who in (viewer, other, admin)] == [200] * 3
    assert stranger.get(f"/exports/{export.pk}/download").status_code == 404
    assert f"/exports/{export.pk}/" not in stranger.get("/exports/").content.decode()
    assert f"/exports/{export.pk}/remove" not in other.get("/exports/").content.decode()
    for refused in (other, stranger):
        assert refused.post(f"/exports/{export.pk}/remove").status_code == 404
    assert admin.post(f"/exports/{export.pk}/remove").status_code == 302
    assert not Export.objects.exists()
    assert list(export_files.folder().iterdir()) == []


def test_exports_are_tended_every_minute_and_no_lock_outlives_a_killed_worker() -> None:
    planned = app.periodic_registry.periodic_tasks.values()
    assert [each.cron for each in planned if each.task is jobs.tend_exports] == ["* * * * *"]
    for task in (jobs.write_exports, jobs.tend_exports):
        assert (task.lock, task.queueing_lock) == (None, task.name)


def test_files_expire_and_those_of_nobody_are_removed(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, calls(now))
    export = ask(member, period="7d")
    write_files(now)
    kept = ask(member, period="30d")
    write_files(now + timedelta(days=1))
    orphan = export_files.folder() / "999999.csv"
    orphan.touch()
    export_work.remove_old(now + export_work.KEPT)
    assert list(Export.objects.all()) == [kept]
    assert [path.name for path in export_files.folder().iterdir()] == [f"{kept.pk}.csv"]
    Export.objects.update(expires_at=now)
    assert member.get(f"/exports/{kept.pk}/download").status_code == 404
    assert f"/exports/{export.pk}" not in member.get("/exports/").content.decode()


def test_the_page_follows_an_export_and_asks_no_more_when_it_is_there(
    member: Client, organization: Organization, now: datetime
) -> None:
    assert "No prepared files" in member.get("/exports/").content.decode()
    store_events(organization, calls(now))
    export = ask(member, period="7d", feature="+chat", user="@ann")
    page = member.get("/exports/").content.decode()
    assert "Waiting for its turn" in page
    poll = page.partition('id="files"')[2].partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    assert member.get(poll, headers=htmx("files")).status_code == 204
    write_files(now)
    done = member.get(poll, headers=htmx("files")).content.decode()
    assert "<html" not in done
    assert "hx-get" not in done
    assert f'href="/exports/{export.pk}/download"' in done
    assert "Feature +chat · User @ann" in done
    assert "from=" in done, "the link to its requests names the days of then"
