"""What type checkers make of tracked clients: the provider's own types, and misspelt context refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

# One after the other: checkers that run at once would share a cache.
pytestmark = pytest.mark.xdist_group("typing")

SDK = Path(__file__).parent.parent
OPENAI_AND_ANTHROPIC = """
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from fluxgate_sdk import FluxGate, create_anthropic_cost_tracker, create_openai_cost_tracker
from fluxgate_sdk.providers.openai import TrackedOpenAI

fluxgate = FluxGate("key")
chat = create_openai_cost_tracker(OpenAI(), fluxgate).with_context(feature="chat", user={"id": "u1"})
typed: TrackedOpenAI = chat.with_options(timeout=3).client
reveal_type(chat.chat.completions.with_tracking(step="draft").create(model="m", messages=[]))
reveal_type(chat.chat.completions.create(model="m", messages=[], stream=True))
reveal_type(chat.chat.completions.with_raw_response.create(model="m", messages=[]))
reveal_type(chat.responses.with_tracking(session_id="s").create(model="m", input=""))
reveal_type(create_openai_cost_tracker(AzureOpenAI(), fluxgate))
reveal_type(create_openai_cost_tracker(AsyncOpenAI(), fluxgate).embeddings.with_tracking())
claude = create_anthropic_cost_tracker(Anthropic(), fluxgate).with_context(metadata={"a": 1})
reveal_type(claude.messages.with_tracking(step="x").create(model="m", max_tokens=1, messages=[]))
reveal_type(claude.beta.messages.with_tracking(step="x").create(model="m", max_tokens=1, messages=[]))
reveal_type(create_anthropic_cost_tracker(AsyncAnthropic(), fluxgate).client.messages)
chat.with_context(featur="chat")  # refused
chat.chat.completions.with_tracking(sesion_id="s")  # refused
claude.messages.with_tracking(user=7)  # refused
create_openai_cost_tracker(Anthropic(), fluxgate)  # refused
"""
OPENAI_AND_ANTHROPIC_TYPES = [
    "ChatCompletion",
    "Stream[ChatCompletionChunk]",
    "LegacyAPIResponse[ChatCompletion]",
    "Response",
    "TrackedAzureOpenAI",
    "TrackedAsyncEmbeddings",
    "Message",
    "BetaMessage",
    "TrackedAsyncMessages",
]
GEMINI = """
from google import genai
from fluxgate_sdk import FluxGate, create_gemini_cost_tracker
from fluxgate_sdk.providers.gemini import TrackedGemini

fluxgate = FluxGate("key")
tracked = create_gemini_cost_tracker(genai.Client(), fluxgate).with_context(feature="chat", user={"id": "u1"})
plain: genai.Client = tracked.client
typed: TrackedGemini = tracked.with_tracking(step="draft")
reveal_type(tracked.models.with_tracking(step="draft").generate_content(model="m", contents="hi"))
reveal_type(tracked.models.generate_content_stream(model="m", contents="hi"))
reveal_type(tracked.models.embed_content(model="m", contents="hi"))
reveal_type(tracked.chats.with_tracking(session_id="s").create(model="m").send_message("hi"))
reveal_type(tracked.aio.with_context(user="u").models.with_tracking(step="x"))
reveal_type(create_gemini_cost_tracker(genai.Client().aio, fluxgate).chats.with_tracking())
tracked.with_context(featur="chat")  # refused
tracked.models.with_tracking(sesion_id="s")  # refused
tracked.aio.models.with_tracking(user=7)  # refused
tracked.models.generate_content(modell="m", contents="hi")  # refused
create_gemini_cost_tracker("client", fluxgate)  # refused
"""
GEMINI_TYPES = [
    "GenerateContentResponse",
    "Iterator[GenerateContentResponse]",
    "EmbedContentResponse",
    "GenerateContentResponse",
    "TrackedAsyncModels",
    "TrackedAsyncChats",
]

PROGRAMS = {"stainless": (OPENAI_AND_ANTHROPIC, OPENAI_AND_ANTHROPIC_TYPES), "gemini": (GEMINI, GEMINI_TYPES)}


def refused(program: Path) -> list[int]:
    """The numbers of the lines that a checker is to refuse."""
    return [number for number, line in enumerate(program.read_text().split("\n"), 1) if line.endswith("# refused")]


def short(name: str) -> str:
    """A type without the modules that its parts are in."""
    return re.sub(r"[\w.]*\.(\w)", r"\1", name)


@pytest.fixture
def programs(tmp_path: Path) -> dict[Path, list[str]]:
    """Programs for a checker to look at, with the types that each of them reveals in their order."""
    found = {}
    for name, (program, types) in PROGRAMS.items():
        (tmp_path / f"{name}.py").write_text(program)
        found[tmp_path / f"{name}.py"] = types
    return found


def test_mypy(programs: dict[Path, list[str]], tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\nstrict = true\npython_version = 3.10\nmypy_path = {SDK / 'src'}\n")
    cache = SDK.parent / ".mypy_cache"
    command = [sys.executable, "-m", "mypy", "--config-file", str(settings), "--cache-dir", str(cache)]
    said = subprocess.run([*command, *map(str, programs)], capture_output=True, text=True, timeout=600).stdout
    for program, types in programs.items():
        name = re.escape(program.name)
        revealed = re.findall(rf'{name}:\d+: note: Revealed type is "(.*)"', said)
        assert [short(found) for found in revealed] == types, said
        assert sorted({int(line) for line in re.findall(rf"{name}:(\d+): error", said)}) == refused(program), said
    # By their names: what mypy has kept of an earlier run has that one's folder.
    files = re.findall(r"^(\S+\.pyi?):\d+: error", said, re.MULTILINE)
    assert {Path(file).name for file in files} == {program.name for program in programs}


def test_pyright(programs: dict[Path, list[str]], tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    settings = {"extraPaths": [str(SDK / "src")], "pythonVersion": "3.10", "include": list(map(str, programs))}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    said = json.loads(done.stdout)["generalDiagnostics"]
    for program, types in programs.items():
        notes = [note for note in said if Path(note["file"]).name == program.name]
        revealed = [note["message"] for note in notes if note["severity"] == "information"]
        assert [message.rpartition(" is ")[2].strip('"') for message in revealed] == types
        errors = {note["range"]["start"]["line"] + 1 for note in notes if note["severity"] == "error"}
        assert sorted(errors) == refused(program)
