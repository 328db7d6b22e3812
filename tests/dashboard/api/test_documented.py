"""The examples of docs/api.md are answered as it says."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from dashboard.api.conditions import Conditions
from dashboard.api.cost_schemas import Grouping
from events.models import Organization
from tests.events_table import Call, store_events
from tests.metering.api.conftest import Api
from tests.metering.api.test_documented import shape

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
SECTION = PAGE[PAGE.index("## Reading events and costs") : PAGE.index("## Errors")]
EXAMPLE = re.compile(
    r'```sh\ncurl "http://localhost:8000(\S+)" -H "X-API-Key: \$FLUXGATE_API_KEY"\n```\n\n```json\n(.*?)\n```',
    re.DOTALL,
)


def test_the_examples_are_answered_as_the_page_says(api: Api, organization: Organization, now: datetime) -> None:
    then = datetime(2026, 11, 21, 5, 55, tzinfo=UTC)
    for at in (then, now, now):
        store_events(
            organization,
            [Call(at=at, feature="chat-assistant", cost=5_250_000_000, user="user-123", metadata='{"plan": "pro"}')],
        )
    examples = EXAMPLE.findall(SECTION)
    assert len(examples) == 2
    for path, text in examples:
        found, shown = api.get(path).json(), json.loads(text)
        assert shape(found) == shape(shown), path
        if "items" in shown and "group_by" in shown:
            assert shown["items"][0] in found["items"]
            assert {name: found[name] for name in ("group_by", "start", "end", "time_zone")}.items() <= shown.items()


def test_every_word_stands_on_the_page() -> None:
    words = {field.alias or name for model in (Conditions, Grouping) for name, field in model.model_fields.items()}
    assert [word for word in sorted(words) if f"`{word}`" not in SECTION] == []
