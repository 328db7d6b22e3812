"""What the pages show is run as it stands: real provider packages, and servers of our own in place of the world's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ingest import KEY, IngestServer
from loopback import Loopback, Request, gemini_content, json_reply
from stainless_wire import chat_completion, chat_stream, message

import fluxgate_sdk
from fluxgate_sdk import FluxGate, Stats
from fluxgate_sdk.events import TrackingContext
from fluxgate_sdk.transport import USER_AGENT

SDK = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"# (\S+\.py)\n")

# What is not installed for these tests, as far as the pages use it.
STANDS_IN = {
    "fastapi": """
class FastAPI:
    def __init__(self, lifespan):
        self.lifespan, self.routes = lifespan, {}
    def get(self, path):
        return lambda function: self.routes.setdefault(path, function)
""",
    "fastapi/responses": "class StreamingResponse:\n    def __init__(self, body, media_type): self.body = body\n",
    "celery": """
class Celery:
    def __init__(self, name): pass
    def task(self, function): return function
""",
    "celery/signals": """
class Signal:
    def __init__(self): self.connected = []
    def connect(self, function):
        self.connected.append(function)
        return function
worker_process_shutdown = Signal()
""",
}

USING = {
    "README": """
from types import SimpleNamespace as Of
on_event(Of(type="response.done", response=Of(usage={"input_tokens": 8, "output_tokens": 3})))
""",
    "django": """
from django.conf import settings
from django.urls import path
settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"], LOGGING=LOGGING,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
)
import django
django.setup()
from django.test import Client
from shop import views
urlpatterns = [path("ask", views.ask), path("stream", views.stream)]
assert Client().get("/ask?question=x").content == b"Hello"
assert b"".join(Client().get("/stream?question=x").streaming_content) == b"Hello!"
""",
    "fastapi": """
import asyncio
from app import app
async def use():
    async with app.lifespan(app):
        assert await app.routes["/ask"]("x", "u") == {"answer": "Hello"}
        streamed = await app.routes["/stream"]("x", "u")
        assert "".join([part async for part in streamed.body]) == "Hello!"
        assert await app.routes["/cost"]("x", "u") == {"usd": "0.00525"}
asyncio.run(use())
""",
    "worker": """
import worker, tasks, handler
from celery.signals import worker_process_shutdown
worker.main()
worker.fluxgate.flush()
tasks.classify("text")
worker_process_shutdown.connected[0](sender=None)
assert tasks.fluxgate.stats.sent == 1
assert handler.handler({"tokens": 3}, None) == {"ok": True}
assert handler.fluxgate.stats.sent == 1
""",
}
FEATURES = {
    "README": {"chat-assistant", "drafts", "search", "summary", "voice", None},
    "django": {"support", "support-live"},
    "fastapi": {"support", "support-live", "estimates"},
    "worker": {"summaries", "classification", "functions"},
}
NEEDS = {
    "README": ("openai", "anthropic", "google.genai"),
    "django": ("openai", "django"),
    "fastapi": ("openai",),
    "worker": (),
}


def page(name: str) -> str:
    return (SDK / "README.md" if name == "README" else SDK / "docs" / f"{name}.md").read_text()


def chat(request: Request) -> Any:
    body = request.body
    return chat_stream(request) if body.get("stream") else json_reply(chat_completion())


def is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def run_page(name: str, folder: Path, server: IngestServer, provider: Loopback) -> subprocess.CompletedProcess[str]:
    for path, source in STANDS_IN.items():
        module = folder / path / "__init__.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(source)
    main = ""
    for block in re.findall(r"```python\n(.*?)```", page(name), re.DOTALL):
        if named := NAMED.match(block):
            shown = folder / named[1]
            shown.parent.mkdir(parents=True, exist_ok=True)
            shown.write_text(block)
        else:
            main += block
    (folder / "main.py").write_text(main + USING.get(name, ""))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{SDK / 'src'}{os.pathsep}{folder}",
        "FLUXGATE_API_KEY": KEY,
        "FLUXGATE_URL": server.url,
        "FLUXGATE_SPOOL": str(folder / "spool"),
        **{f"{who}_API_KEY": "none" for who in ("OPENAI", "ANTHROPIC", "GEMINI")},
        "OPENAI_BASE_URL": provider.url,
        "ANTHROPIC_BASE_URL": provider.url,
        "GOOGLE_GEMINI_BASE_URL": provider.url,
    }
    for unwanted in ("DJANGO_SETTINGS_MODULE", "GOOGLE_API_KEY"):
        environment.pop(unwanted, None)
    return subprocess.run(
        [sys.executable, "main.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("name", FEATURES)
def test_the_examples_run_and_record_what_they_say(name: str, server: IngestServer, tmp_path: Path) -> None:
    if missing := [module for module in NEEDS[name] if not is_installed(module)]:
        pytest.skip(f"needs {', '.join(missing)}")
    with Loopback() as provider:
        provider.always("/chat/completions", chat)
        provider.always("/v1/messages", json_reply(message()))
        provider.always(":generateContent", json_reply(gemini_content()))
        done = run_page(name, tmp_path, server, provider)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    stored = list(server.stored.values())
    assert {event["metadata"].get("feature") for event in stored if "usage" in event} == FEATURES[name]
    if name == "README":
        assert "0.00525 USD, SUCCESS" in done.stdout
        assert "recorded: evt_" in done.stdout
        assert [event["customer_external_id"] for event in stored if "meter_token" in event] == ["cust_123"]
        assert {event["metadata"].get("step") for event in stored if "usage" in event} == {None, "summary"}


def test_the_readme_names_every_key_of_the_context_and_every_call() -> None:
    text = page("README")
    assert set(TrackingContext.__annotations__) <= set(re.findall(r"`(\w+)`", text))
    calls = {name for name in vars(FluxGate) if not name.startswith("_")}
    assert calls <= set(re.findall(r"\b(\w+)\b", text))


def test_the_version_is_everywhere_the_same() -> None:
    said = re.search(r'^version = "(.+)"$', (SDK / "pyproject.toml").read_text(), re.MULTILINE)
    assert said is not None
    assert (said[1], f"fluxgate-sdk-python/{said[1]}") == (fluxgate_sdk.__version__, USER_AGENT)


def test_stats_say_what_each_reason_means() -> None:
    source = "".join(path.read_text() for path in (SDK / "src" / "fluxgate_sdk").glob("*.py"))
    reasons = set(re.findall(r'(?:dropped|_give_up|_drop|_keep_or_drop|_halve)\((?:[\w.\[\]]+, )*"(\w+)"', source))
    assert {"rejected", "closed", "failed", "invalid", "unauthorized"} <= reasons
    assert reasons <= set(re.findall(r"`(\w+)`", str(Stats.__doc__)))


@pytest.mark.parametrize("name", FEATURES)
def test_links_lead_somewhere(name: str) -> None:
    base = SDK if name == "README" else SDK / "docs"
    for target in re.findall(r"\]\(([^)#]+)\)", page(name)):
        assert (base / target).exists(), target
