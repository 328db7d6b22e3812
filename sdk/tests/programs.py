"""Small programs in processes of their own: for what happens at exit, in forks and at first import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"

HEAD = """
import os, sys, threading
from fluxgate_sdk import FluxGate
EVENT = {"usage": {"provider": "openai", "model": "gpt-4o", "input_tokens": 12, "output_tokens": 3}}
URL, KEY = sys.argv[1:3]
"""


def run(folder: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program after `HEAD`, given the arguments, ended; fails when it does not end within a minute."""
    path = folder / "program.py"
    path.write_text(HEAD + program)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDEVMODE": "1", "PYTHONWARNINGS": "default"}
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
