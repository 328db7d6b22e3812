"""A tracked google-genai client for Vertex: what only it can do, and who is said to have answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gemini_clients import CONTENT, IMAGES, MODEL, PREDICTED, VIDEO, opened, run
from google import genai
from google.genai import errors, types
from google.genai.models import Models
from loopback import Loopback, Reply, gemini_error, shared_tls_context
from recorder import Recorder

from fluxgate_sdk.providers.gemini import create_gemini_cost_tracker
from fluxgate_sdk.tracking import tracking_of

PICTURE = types.Image(image_bytes=b"hi", mime_type="image/png")
REFERENCES = [types.RawReferenceImage(reference_id=1, reference_image=PICTURE)]
EIGHT_SECONDS = types.GenerateVideosConfig(duration_seconds=8)


def _called(method: str, **arguments: Any) -> Callable[[Any], Any]:
    return lambda models: getattr(models, method)(**arguments)


# What is asked and answered, the input tokens (None: the provider's own object is sent), and a part of the metadata.
METHODS: dict[str, tuple[Callable[[Any], Any], Reply, int | None, dict[str, Any]]] = {
    "generate_content": (
        _called("generate_content", model=MODEL, contents="hi"),
        CONTENT,
        None,
        {"operation": "generateContent"},
    ),
    "embed_content": (
        _called("embed_content", model="text-embedding-005", contents=["hi"]),
        PREDICTED,
        4,
        {"operation": "predict"},
    ),
    "generate_images": (_called("generate_images", model="imagen-4", prompt="a cat"), IMAGES, 0, {"images": 2}),
    "edit_image": (
        _called("edit_image", model="imagen-3", prompt="a cat", reference_images=REFERENCES),
        IMAGES,
        0,
        {"images": 2},
    ),
    "upscale_image": (
        _called("upscale_image", model="imagen-3", image=PICTURE, upscale_factor="x2"),
        IMAGES,
        0,
        {"images": 2},
    ),
    "recontext_image": (
        lambda models: models.recontext_image(model="vto", source=types.RecontextImageSource(prompt="a cat")),
        IMAGES,
        0,
        {"images": 2},
    ),
    "segment_image": (
        lambda models: models.segment_image(model="seg", source=types.SegmentImageSource(image=PICTURE)),
        IMAGES,
        0,
        {"images": 2},
    ),
    "generate_videos": (
        _called("generate_videos", model="veo-3", prompt="a cat", config=EIGHT_SECONDS),
        VIDEO,
        0,
        {"videoSeconds": 8},
    ),
}

pytestmark = pytest.mark.filterwarnings("ignore:The .* method is deprecated", "ignore:The generate_")


@pytest.fixture(autouse=True)
def one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl.create_default_context", shared_tls_context)


@pytest.fixture
def provider() -> Iterator[Loopback]:
    with Loopback() as loopback:
        yield loopback


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def plain(provider: Loopback) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=provider.url, api_version="v1")
    with opened(vertexai=True, http_options=options) as client:
        yield client


@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize("method", [name for name in METHODS if hasattr(Models, name)])
class TestEveryMethod:
    def asked(self, method: str, world: str, plain: genai.Client, recorder: Recorder) -> Any:
        question, tracked = METHODS[method][0], create_gemini_cost_tracker(plain, recorder)
        if world == "sync":
            return question(tracked.models)
        return run(lambda: question(tracked.aio.models), plain)

    def test_ok(self, method: str, world: str, plain: genai.Client, provider: Loopback, recorder: Recorder) -> None:
        _, reply, tokens, said = METHODS[method]
        provider.answer(reply)
        answer = self.asked(method, world, plain, recorder)
        assert tracking_of(answer) is not None
        usage = recorder.only["usage"]
        assert (usage["provider"], usage.get("input_tokens")) == ("google-vertex", tokens)
        assert said.items() <= recorder.only["metadata"].items()

    def test_error(self, method: str, world: str, plain: genai.Client, provider: Loopback, recorder: Recorder) -> None:
        provider.answer(gemini_error(429))
        with pytest.raises(errors.ClientError):
            self.asked(method, world, plain, recorder)
        assert recorder.only["status"]["status"] == "ERROR"
