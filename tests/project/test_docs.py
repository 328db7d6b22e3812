"""What is documented is what is there."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from events import traces
from events.ingest import BATCH_PATH, ONE_PATH, PRICE_PATH
from events.models.event import Flag
from events.schema import STATUSES, parse_event
from metering.track import TRACK_PATH
from metering.webhook_signature import headers, new_secret
from metering.webhooks import EVENT_TYPES

ROOT = Path(__file__).resolve().parent.parent.parent


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def test_the_readme_lists_every_setting_and_no_other() -> None:
    used = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', text_of("fluxgate_site/settings.py")))
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", text_of("README.md"), re.MULTILINE))
    example = set(re.findall(r"^# ([A-Z_]+)=", text_of(".env.example"), re.MULTILINE))
    assert documented == used
    assert example == used


def test_the_api_page_lists_every_flag_and_every_status() -> None:
    page = text_of("docs/api.md")
    mended = page[page.index("### What is mended") : page.index("## POST /api/events/batch")]
    flags = set(re.findall(r"^\| `([a-z_0-9]+)` \|", mended, re.MULTILINE))
    assert flags == {flag.label for flag in Flag}
    assert set(STATUSES) <= set(re.findall(r"`([A-Z_]+)`", page))


def test_the_examples_are_events() -> None:
    example = re.search(r"```json\n(\{\n  \"usage\".*?)```", text_of("docs/api.md"), re.DOTALL)
    assert example
    body: dict[str, Any] = json.loads(example[1])
    body["metadata"].pop("timestamp")
    assert parse_event(json.dumps(body).encode(), 0).model == "gpt-4o"
    curl = re.search(r"-d '(\{.*?\})'", text_of("README.md"), re.DOTALL)
    assert curl
    assert parse_event(curl[1].encode(), 0).cached_tokens == 1000


def test_every_documented_command_exists() -> None:
    commands = re.findall(r"^\| `([a-z_]+)[ `]", text_of("docs/operations.md"), re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        assert list(ROOT.glob(f"*/management/commands/{command}.py")), command


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda path: path.name)
def test_links_and_paths_in_the_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    for path in re.findall(
        r"`((?:fluxgate_site|dashboard|events|pricing|tests|static|templates|scripts)/[\w/.*]+)`", text
    ):
        assert list(ROOT.glob(path.rstrip("/"))), path


def test_the_snippet_that_verifies_webhooks_does() -> None:
    snippet = re.search(r"```python\n(import base64.*?)```", text_of("docs/operations.md"), re.DOTALL)
    assert snippet
    names: dict[str, Any] = {}
    exec(snippet[1], names)  # our own document
    is_ours, secret, body = names["is_ours"], new_secret(), b'{"type": "invoice.created"}'
    sent = headers(secret, uuid4(), datetime.now(UTC), body)
    assert is_ours(secret, sent, body)
    assert not is_ours(secret, sent, body + b" ")
    assert not is_ours(new_secret(), sent, body)
    assert not is_ours(secret, headers(secret, uuid4(), datetime.now(UTC) - timedelta(minutes=6), body), body)


def test_every_type_of_webhook_is_documented() -> None:
    page = text_of("docs/operations.md")
    assert all(f"`{event_type}`" in page for event_type in EVENT_TYPES)


def test_every_endpoint_is_documented() -> None:
    assert set(re.findall(r"^## POST (/\S+)", text_of("docs/api.md"), re.MULTILINE)) == {
        ONE_PATH,
        BATCH_PATH,
        PRICE_PATH,
        TRACK_PATH,
        traces.PATH,
    }
