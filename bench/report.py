"""Figures of one run: printed as a table, kept as JSON with what they were measured on."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


def report(
    name: str, title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]], figures: Mapping[str, Any]
) -> None:
    """Print `rows` and write `figures` to bench/results/<name>.json."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(f"{value:,.3g}" if isinstance(value, float) else str(value) for value in row))
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    (RESULTS / f"{name}.json").write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
