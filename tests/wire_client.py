"""A client of the event API that behaves as the published SDK: JSON body, Bearer key, 5 s abort, any status parsed.

It keeps its connection, never retries by itself, and returns None where the SDK would have logged and gone on.
"""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

TIMEOUT_SECONDS = 5.0


@dataclass
class Answer:
    """What came back: the HTTP status, the headers in lower case, the parsed body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.body["id"])


@dataclass
class WireClient:
    """One per thread."""

    port: int
    key: str
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def record_event(self, event: dict[str, Any], headers: dict[str, str] | None = None) -> Answer | None:
        """POST /api/events; None when the server could not be reached or did not answer within 5 seconds."""
        return self.post("/api/events", json.dumps(event).encode(), headers)

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer | None:
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"} | (headers or {})
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        try:
            self._connection.request("POST", path, body, sent)
            response = self._connection.getresponse()
            payload = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        answered = {name.lower(): value for name, value in response.getheaders()}
        if answered.get("connection") == "close":
            self.close()
        return Answer(response.status, answered, json.loads(payload))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def event(**usage: Any) -> dict[str, Any]:
    """The contract's example: gpt-4o, 1,200 input of which 1,000 cached, 350 output; costs 0.00525 USD."""
    return {
        "usage": {
            "inputTokens": 1200,
            "outputTokens": 350,
            "cachedTokens": 1000,
            "model": "gpt-4o",
            "provider": "openai",
            "latencyInMs": 812.4,
        }
        | usage,
        "status": "SUCCESS",
        "metadata": {"feature": "chat-assistant", "user": "user-123"},
    }
