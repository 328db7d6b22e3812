"""History from files: its own times, its own price, nothing twice, and what is wrong named by line and field."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from dashboard import export_files
from dashboard.filters import Filters
from dashboard.queries import exports as queries
from events import demo_writer, event_import, rollups
from events.demo_writer import Demo
from events.models import ApiKey, Event, Organization, RevenueChange, TrackedUser
from events.models.event import time_of
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.usefixtures("committed_db")
LONG_AGO = "2024-09-01T10:00:00.123Z"


@pytest.fixture
def acme() -> Organization:
    made: Organization = OrganizationFactory(slug="acme")
    return made


def run(path: Path, *more: str, organization: str = "acme") -> str:
    out = StringIO()
    call_command("import_events", str(path), "--organization", organization, *more, stdout=out)
    return " ".join(out.getvalue().split())


def call(**words: Any) -> dict[str, Any]:
    usage = {"inputTokens": 1200, "outputTokens": 350, "cachedTokens": 1000, "model": "gpt-4o", "provider": "openai"}
    return {
        "usage": usage | words.pop("usage", {}),
        "metadata": {"feature": "chat", "timestamp": LONG_AGO} | words.pop("metadata", {}),
        **words,
    }


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """`written(call(), …)`: a file of JSON lines; texts stand as they are."""

    def write(*events: dict[str, Any] | str, name: str = "history.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in events))
        return path

    return write


def test_events_keep_their_own_time_and_the_price_of_that_time(
    acme: Organization, written: Callable[..., Path]
) -> None:
    user = {"id": "u-1", "name": "Ann", "monthlyRevenue": 20}
    path = written(call(metadata={"user": user, "plan": "pro"}), call(metadata={"timestamp": "2024-10-03T10:00:00Z"}))
    assert run(path) == "Stored 2 events in acme, worth 0.02 USD."
    first, second = Event.objects.order_by("id")
    assert time_of(first.id) == datetime(2024, 9, 1, 10, 0, 0, 123_000, tzinfo=UTC)
    # Until 1 October 2024 5 USD per million tokens and 15 for output, cached or not; 2.50, 1.25 and 10 afterwards.
    assert first.cost_picousd == 1_200 * 5_000_000 + 350 * 15_000_000
    assert second.cost_picousd == 200 * 2_500_000 + 1_000 * 1_250_000 + 350 * 10_000_000
    assert first.metadata == {"plan": "pro"}
    assert first.flags == 0
    assert TrackedUser.objects.get(pk=first.tracked_user_id or 0).name == "Ann"
    assert RevenueChange.objects.get().effective_at == time_of(first.id)
    key = ApiKey.objects.get(pk=first.api_key_id)
    assert (key.name, key.revoked_at is not None) == ("Imported history", True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM event_default")
        assert cursor.fetchone() == (0,), "each month has its partition"
    assert rollups.audit() == []


def test_running_it_again_or_after_a_crash_stores_only_what_is_missing(
    acme: Organization, written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_import, "BATCH_ROWS", 2)
    equal = call()
    lines = [equal, equal, call(idempotencyKey="k"), call(idempotencyKey="k"), call(metadata={"step": "s"})]
    assert run(written(*lines[:3])).startswith("Stored 3 events")
    assert run(written(*lines)) == "Stored 1 event in acme, worth 0.01 USD, 4 were there already."
    assert run(written(*lines)) == "Stored 0 events in acme, worth 0.00 USD, 5 were there already."
    assert Event.objects.count() == 4
    other = OrganizationFactory()
    assert run(written(*lines), organization=other.slug).startswith("Stored 4 events")
    assert rollups.audit() == []


BAD_LINES: tuple[tuple[Any, str], ...] = (
    ("{", "the body is not valid JSON"),
    (call(usage={"inputTokens": "1"}), "usage.inputTokens must be an integer, got a string"),
    (call(metadata={"timestamp": None}), "metadata.timestamp is required: history has times of its own"),
    (call(metadata={"timestamp": "soon"}), "metadata.timestamp must be an ISO 8601 time"),
    (call(metadata={"timestamp": "1999-12-31T23:59:59Z"}), "metadata.timestamp must not be before the year 2000"),
    (call(metadata={"timestamp": "2199-01-01"}), "metadata.timestamp is in the future"),
    (call(status="FINE"), "status must be one of SUCCESS"),
    ('{"metadata": {"x": "' + "y" * 300_000 + '"}}', "is longer than 256 KiB"),
)


def test_bad_lines_are_named_and_kept_aside_while_the_others_are_stored(
    acme: Organization, written: Callable[..., Path]
) -> None:
    path = written(call(), "", *(line for line, _ in BAD_LINES), call(metadata={"step": "s"}))
    out = StringIO()
    with pytest.raises(CommandError, match=r"8 lines were refused; .*history\.jsonl\.rejected\.jsonl"):
        call_command("import_events", str(path), "--organization", "acme", stdout=out)
    rejects = (path.parent / "history.jsonl.rejected.jsonl").read_text().splitlines()
    for number, ((line, said), rejected) in enumerate(zip(BAD_LINES, map(json.loads, rejects), strict=True), 3):
        assert f"line {number}: {said}" in " ".join(out.getvalue().split())
        assert rejected["line"] == number
        assert rejected["text"] == (line if isinstance(line, str) else json.dumps(line))
    assert Event.objects.count() == 2


BAD_CELLS = (
    ("input_tokens", "1.5", "input_tokens must be an integer, got a number with a fraction"),
    ("output_tokens", "many", "output_tokens must be an integer, got a string"),
    ("occurred_at", "", "occurred_at is required"),
    ("latency_ms", "-1", "latency_ms must be 0 or more"),
    ("is_streamed", "yes", "is_streamed must be true or false, got a string"),
    ("status", "FINE", "status must be one of"),
    ("environment", "staging", "environment must be live or test"),
    ("metadata", "[1]", "metadata must be a JSON object"),
    ("provider_usage", "{", "provider_usage must be a JSON object"),
    ("flags", "odd", "flags has an unknown word: odd"),
)


def test_bad_rows_of_a_table_are_named_by_their_columns(acme: Organization, tmp_path: Path) -> None:
    fine = dict.fromkeys(column for column, *_ in BAD_CELLS) | {"occurred_at": LONG_AGO}
    fine |= {"input_tokens": "1", "output_tokens": "2"}
    path = tmp_path / "history.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(fine))
        table.writeheader()
        table.writerow(fine)
        table.writerows(fine | {column: value} for column, value, _ in BAD_CELLS)
    out = StringIO()
    with pytest.raises(CommandError, match="10 lines were refused"):
        call_command("import_events", str(path), "--organization", "acme", stdout=out)
    for number, (_, _, said) in enumerate(BAD_CELLS, 3):
        assert f"line {number}: {said}" in " ".join(out.getvalue().split())


def test_a_file_that_cannot_be_read_is_refused_in_words(acme: Organization, tmp_path: Path) -> None:
    for name, content, said in (
        ("a.txt", b"", r"must end in \.jsonl, \.csv or \.parquet"),
        ("a.csv", b"model,input_tokens\n", "has no column occurred_at, output_tokens"),
        ("a.csv", b"occurred_at,input_tokens,output_tokens\n\xff,1,1\n", "is not UTF-8"),
        ("a.csv", b'occurred_at,input_tokens,output_tokens\n"a"b,1,1\n', "line 2 is no CSV"),
        ("a.parquet", b"PAR1", "is no Parquet file"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CommandError, match=said):
            run(path)
    with pytest.raises(CommandError, match="--organization: there is no organization 'nobody'"):
        run(path, organization="nobody")
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "nothing.jsonl")


TOTALS = """SELECT count(*), sum(e.cost_picousd), sum(e.input_tokens), sum(e.output_tokens), sum(e.cached_tokens),
sum(e.latency_ms)::numeric, count(DISTINCT u.external_id), count(DISTINCT (e.feature, e.step, e.model, e.provider)),
count(*) FILTER (WHERE e.cost_picousd IS NULL), md5(string_agg(concat_ws('|', event_time(e.id), e.status,
e.service_tier, e.is_streamed, e.region, e.flags, e.error_message, e.metadata, e.provider_usage, e.session_id,
e.conversation_id, e.environment, u.name), ',' ORDER BY event_time(e.id), e.model, e.input_tokens, e.output_tokens))
FROM event e LEFT JOIN tracked_user u ON u.id = e.tracked_user_id WHERE e.organization_id = %s"""


def totals(organization: Organization) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, [organization.pk])
        return cursor.fetchone()


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_what_is_exported_and_imported_elsewhere_has_the_same_totals(
    acme: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    now = datetime.now(UTC)
    monkeypatch.setattr(queries, "BATCH_ROWS", 120)
    demo_writer.write(Demo(acme, 300, 60, 3), now=now, progress=lambda count: None)
    path = tmp_path / f"acme.{file_format}"
    filters = Filters.from_query({"period": "90d"}, now, acme.zone)
    after = None
    with export_files.opened(file_format, path) as write:
        while rows := queries.batch(acme.pk, filters, now + timedelta(days=1), after):
            write(rows)
            after = rows[-1][0]
    elsewhere = OrganizationFactory(slug="elsewhere")
    assert run(path, organization="elsewhere").startswith("Stored 300 events in elsewhere")
    assert totals(elsewhere) == totals(acme)
    for organization in ("elsewhere", "acme"):
        assert "Stored 0 events" in run(path, organization=organization)
    ids = set(Event.objects.filter(organization_id=acme.pk).values_list("id", flat=True))
    Event.objects.filter(organization_id=acme.pk).delete()
    assert run(path).startswith("Stored 300 events"), "on another server, or after a loss"
    assert set(Event.objects.filter(organization_id=acme.pk).values_list("id", flat=True)) == ids
