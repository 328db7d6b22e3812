"""`make bench`: every benchmark in turn. Each prints its table and writes `bench/results/<name>.json`."""

import subprocess
import sys

BENCHMARKS = ("pricing", "ingest", "metering", "repricing", "pages", "live", "sdk")


def main() -> int:
    failed = [name for name in BENCHMARKS if subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode]
    for name in failed:
        print(f"bench.{name} failed", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
