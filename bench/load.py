"""Load from the program `wrk`: one thread, many connections, the same body again and again."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

SECONDS = 4


def is_missing(benchmark: str) -> bool:
    """Whether there is no `wrk`; says how to get it."""
    if shutil.which("wrk"):
        return False
    print(f"{benchmark} needs the program wrk (Debian: apt-get install wrk)", file=sys.stderr)
    return True


def script(body: str, key: str) -> str:
    """What wrk sends, again and again; it says when an answer is a refusal."""
    return f"""wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
done = function(summary) if summary.errors.status > 0 then io.write("REFUSED ", summary.errors.status, "\\n") end end
"""


def wrk(url: str, script: Path, connections: int) -> tuple[float, float]:
    """Requests per second and p99 in milliseconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "REFUSED" not in text, text
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    assert rate is not None, text
    assert late is not None, text
    return float(rate[1]), float(late[1]) * {"us": 1e-3, "ms": 1, "s": 1e3}[late[2]]
