"""P10: from an answered event to an Overview that is open in a browser."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.report import report
from tests.browser.conftest import chromium, sign_in
from tests.real_server import RealServer
from tests.wire_client import WireClient, event

EVENTS = 20


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="fluxgate-bench-") as folder, sync_playwright() as playwright:
        server = RealServer(Path(folder) / "var").start()
        server.command(
            "create_organization", "Bench", "--slug", "b", "--owner", "o@bench.example", "--password", "bench-1"
        )
        client = WireClient(server.port, server.command("create_api_key", "b", "--name", "bench"))
        client.record_event(event())
        browser = chromium(playwright)
        page = sign_in(browser.new_page(base_url=server.url), "o@bench.example", "bench-1")
        page.goto("/")
        seconds = []
        for number in range(EVENTS):
            client.record_event(event() | {"metadata": {"feature": f"seen-{number}"}})
            answered = time.perf_counter()
            page.get_by_text(f"seen-{number}").first.wait_for(state="attached")
            seconds.append(time.perf_counter() - answered)
            time.sleep(number * 0.1)
        browser.close()
        server.stop()
    figures = {"median_s": statistics.median(seconds), "max_s": max(seconds), "seconds": seconds}
    rows = [("median", f"{figures['median_s']:.2f} s", ""), ("longest", f"{figures['max_s']:.2f} s", "≤ 3 s")]
    report("live", f"Event answered → on an open Overview, {EVENTS} events", ("what", "figure", "limit"), rows, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
