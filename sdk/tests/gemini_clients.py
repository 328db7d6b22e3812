"""Clients of google-genai for tests, and what a provider on this machine answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google import genai
from loopback import gemini_content, gemini_usage, json_reply

MODEL = "gemini-2.5-flash"
USAGE = gemini_usage(100, 20, 30, toolUsePromptTokenCount=7, cachedContentTokenCount=40, serviceTier="flex")
CONTENT = json_reply(gemini_content("Hello", usage=USAGE))
VECTORS = json_reply({"embeddings": [{"values": [0.1, 0.2]}], "usageMetadata": {"promptTokenCount": 5}})
IMAGES = json_reply({"predictions": [{"bytesBase64Encoded": "aGk=", "mimeType": "image/png"}] * 2})
PREDICTED = json_reply({"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 4}}}]})
VIDEO = json_reply({"name": "operations/v1"})
CAN_CLOSE = hasattr(genai.Client, "close")


@contextmanager
def opened(kind: type[genai.Client] = genai.Client, **options: Any) -> Iterator[genai.Client]:
    """A client that is closed afterwards. Older packages cannot: they do it when it is collected."""
    client = kind(api_key="k", **options)
    try:
        yield client
    finally:
        if CAN_CLOSE:
            client.close()


def run(work: Callable[[], Awaitable[Any]], *clients: genai.Client) -> Any:
    """Run in a loop of its own, as `asyncio.run`, and close the asynchronous side of the clients in it."""

    async def whole() -> Any:
        try:
            return await work()
        finally:
            for client in clients if CAN_CLOSE else ():
                await client.aio.aclose()

    return asyncio.run(whole())
