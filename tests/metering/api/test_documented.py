"""The examples of docs/api.md are answered as it says."""

import json
import re
from pathlib import Path
from typing import Any

from events.models import Organization, Role
from metering.api import openapi
from tests.factories import PASSWORD, MembershipFactory
from tests.metering.api.conftest import Api

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()
SECTION = PAGE[PAGE.index("## The REST API") : PAGE.index("## Errors")]
_CURL = re.compile(r'```sh\ncurl -. jar "?http://localhost:8000(/\S+?)"?(?: -H .*?-d \'(.*?)\')?\n```', re.DOTALL)


def shape(value: Any) -> Any:
    """The keys of an answer, all the way down."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_the_examples_are_answered_as_the_page_says(organization: Organization) -> None:
    user = MembershipFactory(organization=organization, role=Role.OWNER).user
    api, shown = Api(), {}
    ids: dict[str, int] = {}
    for found in _CURL.finditer(SECTION):
        path, body = found.groups()
        if path.endswith("/login"):
            body = json.dumps({"email": user.email, "password": PASSWORD})
        for name, number in ids.items():
            path, body = (text and text.replace(f"{name}=1", f"{name}={number}") for text in (path, body))
            body = body and body.replace(f'"{name}": 1', f'"{name}": {number}')
        response = api.call("POST" if body else "GET", path, body and body.encode())
        assert response.status_code in (200, 201), (path, response.content)
        answer = re.match(r"\n\n```json\n(.*?)\n```", SECTION[found.end() :], re.DOTALL)
        if answer and '…"' not in answer[1].replace("eyJ…", "").replace("use_019ad6…", ""):
            example = json.loads(answer[1])
            assert shape(example) == shape(response.json()), path
        shown[path.partition("?")[0]] = response
        for noun in ("meter", "customer"):
            if path == f"/api/v1/{noun}s" and body:
                ids[f"{noun}_id"] = response.json()["id"]
    assert set(shown) >= {f"/api/v1/{noun}" for noun in ("auth/login", "meters", "customers", "usage", "invoices")}


def test_every_endpoint_stands_on_the_page() -> None:
    text = re.sub(r"\{\w+?_id\}", "{id}", SECTION.replace("\n", " "))
    for path in openapi.schema()["paths"]:
        assert re.sub(r"\{\w+?_id\}", "{id}", path) in (text if path.startswith("/api/v1/") else PAGE) or path in PAGE
