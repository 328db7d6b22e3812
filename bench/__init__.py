"""Benchmarks. Each module prints a table and writes its figures to `bench/results`."""

import sys
from pathlib import Path

# The SDK is a distribution of its own, measured as it stands here and not as it may be installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "sdk" / "src"))
