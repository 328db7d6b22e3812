"""Answers on their way to the socket: files sent by the server, and readers that stall or are gone."""

import asyncio
from typing import Any

import pytest

from fluxgate_site import page_answers

START = {"type": "http.response.start", "status": 200}


def sent_through(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What reaches the server of the messages."""
    reached: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        reached.append(dict(message))

    async def run() -> None:
        patient = page_answers.patient_send(send)
        for message in messages:
            await patient(message)

    asyncio.run(run())
    return reached


def test_a_named_file_takes_the_place_of_the_body_and_its_name_stays_here() -> None:
    head = {**START, "headers": [(b"x-fluxgate-file", b"/data/a%20b.csv"), (b"content-length", b"5")]}
    body = {"type": "http.response.body", "body": b""}
    assert sent_through(head, body) == [
        {**START, "headers": [(b"content-length", b"5")]},
        {"type": "http.response.pathsend", "path": "/data/a b.csv"},
    ]


def test_any_other_answer_passes_as_it_is() -> None:
    messages = ({**START, "headers": [(b"a", b"b")]}, {"type": "http.response.body", "body": b"text"})
    assert sent_through(*messages) == list(messages)


@pytest.mark.parametrize("gone", [False, True])
def test_whoever_does_not_read_is_given_up_without_an_error(gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def send(message: Any) -> None:
        tried.append(message["type"])
        if gone:
            raise OSError("closed")
        await asyncio.Event().wait()

    async def run() -> None:
        patient = page_answers.patient_send(send)
        await patient({**START, "headers": []})
        await patient({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(page_answers, "STALLED_SECONDS", 0.0)
    asyncio.run(run())
    assert tried == ["http.response.start"], "the end of the answer is never sent: it has none"
