"""Events on disk: kept when they cannot be sent, sent once when they can."""

from __future__ import annotations

import json
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ingest import KEY, Fault, IngestServer, an_event
from test_outbox import Wire, ok

from fluxgate_sdk import FluxGate, client, outbox
from fluxgate_sdk.events import encode, wire_event
from fluxgate_sdk.lanes import EVENTS, USAGE, Item
from fluxgate_sdk.ledger import Ledger
from fluxgate_sdk.outbox import Outbox
from fluxgate_sdk.spool import Spool
from fluxgate_sdk.tracking import CostTrackingResponse, answered
from fluxgate_sdk.transport import Reply, Unreachable

LONG = 60.0


@pytest.fixture(autouse=True)
def retries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "Outbox", partial(Outbox, jitter=lambda least, most: 0.0))


def items(*numbers: int) -> list[Item]:
    made = []
    for number in numbers:
        item = Item(EVENTS, None, CostTrackingResponse(timeout=0))
        item.payload = encode(wire_event(an_event(number)))
        made.append(item)
    return made


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def numbers_of(found: list[Item]) -> list[int]:
    return [json.loads(item.payload)["metadata"]["number"] for item in found]


def test_what_is_written_is_read_back_byte_for_byte(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    written = items(1, 2)
    usage = Item(USAGE, None, CostTrackingResponse())
    usage.payload = b'{"quantity":0.000000001,"meter_token":"m"}'
    assert spool.write([*written, usage])
    (path,) = files(tmp_path / "spool")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = spool.take()
    assert [(item.lane, item.payload) for item in read] == [(i.lane, i.payload) for i in [*written, usage]]


def test_a_file_goes_when_all_of_it_is_settled(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(items(1, 2))
    first, second = spool.take()
    first.settle(answered())
    assert len(files(tmp_path)) == 1
    second.settle(answered())
    assert files(tmp_path) == []


def test_of_two_processes_one_sends_a_file(tmp_path: Path) -> None:
    one, other = Spool(tmp_path), Spool(tmp_path)
    one.write(items(1))
    one.write(items(2))
    assert numbers_of(one.take()) == [1]
    assert numbers_of(other.take()) == [2]
    assert other.take() == []
    one.release()
    assert numbers_of(other.take()) == [1]


def test_a_full_or_unwritable_directory_says_so(tmp_path: Path) -> None:
    assert Spool(tmp_path, max_bytes=10).write(items(1)) is False
    (tmp_path / "file").write_text("")
    assert Spool(tmp_path / "file" / "spool").write(items(1)) is False
    assert Spool(tmp_path / "nowhere").has_files() is False


def test_lines_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write(items(1))
    (path,) = files(tmp_path)
    path.write_bytes(b'{"lane":"other","body":{}}\n' + path.read_bytes() + b'{"lane":"events","bo')
    (tmp_path / "00-broken.jsonl").write_bytes(b"\x00\xff")
    assert numbers_of(spool.take()) == [1]
    assert not (tmp_path / "00-broken.jsonl").exists()


def test_a_file_that_cannot_be_read_or_removed_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    assert Spool(tmp_path).write(items(1))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        assert Spool(tmp_path).take() == []
    assert len(files(tmp_path)) == 1
    (taken,) = Spool(tmp_path).take()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        taken.settle(answered())
    assert taken.response.status == "SUCCESS"
    assert numbers_of(Spool(tmp_path).take()) == [1]


def test_a_disk_that_is_full_keeps_nothing_of_what_it_has_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        assert not Spool(tmp_path).write(items(1))
    assert list(tmp_path.iterdir()) == []
    assert Spool(tmp_path).write(items(1))


def test_what_is_left_at_the_end_is_sent_by_the_next_start(server: IngestServer, tmp_path: Path) -> None:
    server.stop()
    fluxgate = FluxGate(KEY, server.url, spool_directory=tmp_path)
    responses = [fluxgate.enqueue(an_event(number)) for number in range(150)]
    fluxgate.track_usage("meter", "customer", 3)
    assert fluxgate.close(0) is False
    assert fluxgate.stats.dropped == {}
    assert fluxgate.stats.spooled == 151
    assert responses[0].error_message == "not delivered yet: kept on disk, to be sent later"
    server.fail(Fault(hangs_up=True, commits=True))
    server.start()
    with FluxGate(KEY, server.url, spool_directory=tmp_path) as following:
        assert following.flush(LONG)
    assert len(server.stored) == 151
    assert server.replayed == 100
    assert files(tmp_path) == []


def test_a_refused_key_keeps_what_comes_for_the_next_start(server: IngestServer, tmp_path: Path) -> None:
    server.fail(Fault(401))
    with FluxGate(KEY, server.url, spool_directory=tmp_path) as fluxgate:
        for number in range(3):
            fluxgate.enqueue(an_event(number))
        assert fluxgate.flush(LONG)
        assert fluxgate.record_event(an_event(3)) is None
    assert server.stored == {}
    with FluxGate(KEY, server.url, spool_directory=tmp_path) as following:
        assert following.flush(LONG)
    assert sorted(event["metadata"]["number"] for event in server.stored.values()) == [0, 1, 2, 3]


def test_a_long_outage_moves_to_disk_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SPOOL_EVENTS", 40)
    now = 0.0
    wire: Any = Wire()
    ledger = Ledger()
    box = Outbox(wire, ledger, Spool(tmp_path), capacity=400, clock=lambda: now, jitter=lambda least, most: most)
    wire.answers = [Unreachable("refused")] * 1000
    for number in range(1000):
        box.intake.append(Item(EVENTS, wire_event(an_event(number)), CostTrackingResponse(timeout=0)))
        now += 0.01
        box.step()
        assert box.size <= 400
    assert ledger.stats(0).spooled >= 500
    wire.answers, wire.sent = [], []
    while (delay := box.step(eager=True)) is not None:
        now += delay
    sent = [number for batch in wire.sent for number in batch]
    assert sorted(sent) == list(range(1000))
    assert files(tmp_path) == []
    assert ledger.stats(0).dropped == {}


def test_a_spool_that_is_full_drops_and_counts(tmp_path: Path) -> None:
    wire: Any = Wire()
    ledger = Ledger()
    box = Outbox(wire, ledger, Spool(tmp_path, max_bytes=10))
    box.intake.append(Item(EVENTS, wire_event(an_event()), CostTrackingResponse(timeout=0)))
    box.abandon()
    assert ledger.stats(0).dropped == {"undelivered": 1}
    assert ok([]) == Reply(200, b'{"results": []}')
