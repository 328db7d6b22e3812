"""P6 to P9, P11, P13: pages over many events against the same pages over few, and against DuckDB on the same events.

Two servers, one with 100,000 events and one with many (10 million unless told: `python -m bench.pages 2000000`), asked
in turn; DuckDB answers the page's figures from a Parquet file and from its own table. Medians of interleaved rounds.
"""

import html
import json
import re
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path

import duckdb

from bench.page_events import PASSWORD, fill, to_duckdb
from bench.report import report
from tests.real_server import RealServer

FEW, MANY = 100_000, 10_000_000
ROUNDS = 7
_SQL_TIME = """
import json, sys, time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo
from django.db import connection
from dashboard.cost_search import CostSearch
from dashboard.filters import Filters
from dashboard.pages import costs, overview, requests
from dashboard.queries import dearest
from dashboard.request_search import RequestSearch
from dashboard.visit import Visit
from events.models import Organization, Role
organization = Organization.objects.get()
spent = [0.0]
def timed(execute, sql, params, many, context):
    began = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        spent[0] += time.perf_counter() - began
def measure(build):
    found = []
    for _ in range({rounds}):
        spent[0] = 0.0
        build()
        found.append(spent[0])
    return sorted(found)[len(found) // 2]
now, zone = datetime.now(UTC), ZoneInfo("UTC")
last = now.replace(day=1) - timedelta(days=1)
month = {{"from": f"{{last:%Y-%m}}-01", "to": f"{{last:%Y-%m-%d}}"}}
whole = Visit(organization.pk, "Bench", zone, Role.OWNER, "Bench", False, (), "auto", "http://x", now)
visit = replace(whole, first_look=True)
filters = lambda **words: Filters.from_query(words, now, zone)
search = lambda **words: CostSearch.from_query(words, now, zone)
with connection.execute_wrapper(timed):
    print(json.dumps({{
        "overview": measure(lambda: overview.build(visit, filters(), "r")),
        "dearest users": measure(lambda: dearest.find(organization.pk, filters(), "user", 50)),
        "two filters": measure(lambda: overview.build(visit, filters(feature="feature-3", model="model-4"), "r")),
        "users of a month": measure(lambda: costs.build(visit, search(by="user", compare="none", **month), "r")),
        "users of 30 days": measure(lambda: costs.build(visit, search(by="user", compare="none"), "r")),
        "users of a month, all": measure(lambda: costs.build(whole, search(by="user", compare="none", **month), "r")),
        "users of 30 days, all": measure(lambda: costs.build(whole, search(by="user", compare="none"), "r")),
        "users compared": measure(lambda: costs.build(visit, search(by="user"), "r")),
        "features": measure(lambda: costs.build(visit, search(by="feature"), "r")),
        "metadata": measure(lambda: costs.build(visit, search(by="meta.plan", compare="none"), "r")),
    }}))
"""


class Browser:
    """Somebody who is signed in to a server."""

    def __init__(self, server: RealServer, slug: str) -> None:
        self._base = server.url
        jar = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', self.get("/sign-in/"))
        assert token
        form = {"username": f"owner@{slug}.example", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        self._opener.open(f"{self._base}/sign-in/", urllib.parse.urlencode(form).encode())

        self._session = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)

    def get(self, path: str, **headers: str) -> str:
        """The page at `path`, all of it at once."""
        request = urllib.request.Request(self._base + path, headers=headers)
        with self._opener.open(request) as answer:
            return str(answer.read().decode())

    def look(self, path: str, **headers: str) -> str:
        """The page at `path` as a browser with scripts gets it first."""
        return self.get(path, **headers, Cookie=f"{self._session}; script=on")


def main() -> int:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    with tempfile.TemporaryDirectory(prefix="fluxgate-bench-") as folder:
        servers = {events: RealServer(Path(folder) / str(events)).start() for events in (FEW, many)}
        try:
            for events, server in servers.items():
                fill(server, "bench", events)
            _measure(servers, many, to_duckdb(servers[many], Path(folder)))
        finally:
            for server in servers.values():
                server.stop()
    return 0


def _measure(servers: dict[int, RealServer], many: int, warehouse: duckdb.DuckDBPyConnection) -> None:
    browsers = {events: Browser(server, "bench") for events, server in servers.items()}
    deep = _deep(servers[many])
    asked: dict[str, Callable[[], object]] = {
        "overview": lambda: browsers[many].get("/"),
        "overview, few": lambda: browsers[FEW].get("/"),
        "explorer": lambda: browsers[many].get("/requests/"),
        "explorer, few": lambda: browsers[FEW].get("/requests/"),
        "explorer, deep": lambda: browsers[many].get(f"/requests/?period=90d&after={deep}"),
        **{f"duckdb {name}": partial(_ask, warehouse, text) for name, text in _duckdb_queries().items()},
    }
    seconds = _timed(asked)
    asked_pages = _pages(browsers[many])
    pages = _timed({name: partial(browsers[many].look, path, **head) for name, (path, head) in asked_pages.items()})
    wholes = _timed({f"all of {name}": partial(browsers[many].get, path) for name, path in _parted_pages().items()})
    sql = json.loads(servers[many].command("shell", "-v0", "-c", _SQL_TIME.format(rounds=ROUNDS)))
    disk = _bytes_per_event(servers[many], many)
    worst = _percentile_errors(servers[many], warehouse)
    ratios = {
        "P6 overview, many / few": (seconds["overview"] / seconds["overview, few"], "≤ 1.3"),
        "P6 overview SQL / DuckDB on Parquet": (sql["overview"] / seconds["duckdb overview"], "≤ 0.05"),
        "P7 overview, two filters, SQL / DuckDB": (sql["two filters"] / seconds["duckdb two filters"], "≤ 0.5"),
        "P8 explorer, deep page / first": (seconds["explorer, deep"] / seconds["explorer"], "≤ 1.5"),
        "P8 explorer, many / few": (seconds["explorer"] / seconds["explorer, few"], "≤ 1.5"),
        **_users_against_duckdb(sql, seconds),
        "P11 p50 and p95, error": (max(worst[:2]), "≤ 0.01"),
        "P11 p99, error": (worst[2], "≤ 0.02"),
        "P13 bytes on disk per event": (disk, "≤ 650"),
    }
    rows = [(name, f"{value:.3f}", limit) for name, (value, limit) in ratios.items()]
    rows += [(f"{name}, ms", f"{1000 * value:.1f}", _budget(name)) for name, value in pages.items()]
    rows += [(f"{name}, ms", f"{1000 * value:.1f}", "") for name, value in wholes.items()]
    rows += [(f"{name}, ms", f"{1000 * value:.1f}", "") for name, value in seconds.items()]
    rows += [(f"SQL of {name}, ms", f"{1000 * value:.1f}", "") for name, value in sql.items()]
    figures = {
        "events": many,
        "ratios": ratios,
        "pages": pages,
        "wholes": wholes,
        "seconds": seconds,
        "sql_seconds": sql,
    }
    report("pages", f"Pages over {many:,} events", ("what", "figure", "limit"), rows, figures)


def _users_against_duckdb(sql: dict[str, float], seconds: dict[str, float]) -> dict[str, tuple[float, str]]:
    """P9: the first look, which is what a person waits for, and all users, which is what DuckDB adds up."""
    limits = {"users of a month": "≤ 0.1", "users of 30 days": "≤ 1.5"}
    return {
        f"P9 {name}{part}, SQL / DuckDB": (sql[f"{name}{part}"] / seconds[f"duckdb {name}"], limit if not part else "")
        for name, limit in limits.items()
        for part in ("", ", all")
    }


def _timed(asked: dict[str, Callable[[], object]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(ROUNDS + 1):
        for name, ask in asked.items():
            began = time.perf_counter()
            ask()
            if number:  # the first round warms caches
                found[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in found.items()}


def _duckdb_queries() -> dict[str, list[str]]:
    """For each page the statements by which DuckDB finds its figures."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    start, before = today - timedelta(days=29), today - timedelta(days=59)
    sums = "count(*), sum(cost_picousd), sum(input_tokens), sum(output_tokens), count(*) FILTER (WHERE status = 1)"

    def overview(table: str, where: str = "true") -> list[str]:
        now = f"FROM {table} WHERE moment >= '{start}' AND {where}"
        return [
            f"SELECT date_trunc('day', moment), model, provider, {sums} {now} GROUP BY ALL",
            f"SELECT date_trunc('day', moment), {sums} FROM {table}"
            f" WHERE moment >= '{before}' AND moment < '{start}' AND {where} GROUP BY ALL",
            f"SELECT feature, {sums} {now} GROUP BY ALL ORDER BY 3 DESC LIMIT 6",
            f"SELECT user_id, {sums} {now} GROUP BY ALL ORDER BY 3 DESC LIMIT 6",
            f"SELECT quantile_cont(latency_ms, [0.5, 0.95, 0.99]) {now}",
            f"SELECT * {now} ORDER BY moment DESC LIMIT 8",
        ]

    def users(since: datetime, until: datetime) -> list[str]:
        inside = f"moment >= '{since}' AND moment < '{until}'"
        return [f"SELECT user_id, {sums} FROM parquet WHERE {inside} GROUP BY 1 ORDER BY 3 DESC"]

    month = today.replace(day=1)
    return {
        "overview": overview("parquet"),
        "two filters": overview("native", "feature = 'feature-3' AND model = 'model-4'"),
        "users of a month": users((month - timedelta(days=1)).replace(day=1), month),
        "users of 30 days": users(start, today + timedelta(days=1)),
    }


def _pages(browser: Browser) -> dict[str, tuple[str, dict[str, str]]]:
    """What is asked for its server time: path and headers of each page, of a fragment, and of a poll without news."""
    poll = re.search(r'hx-get="([^"]*rev=[^"]*)"', browser.get("/"))
    assert poll
    swap = {"HX-Request": "true", "HX-Target": "results"}
    return {
        "page of the overview": ("/", {}),
        "page of requests": ("/requests/", {}),
        "page of costs by model": ("/costs/?by=model", {}),
        "page of a usual user": ("/costs/user/?user=user-200", {}),
        "page of sessions": ("/sessions/", {}),
        **{f"page of {name}, first look": (path, {}) for name, path in _parted_pages().items()},
        "fragment of filtered requests": ("/requests/?feature=feature-3", swap),
        "poll without news": (html.unescape(poll[1]), {"HX-Request": "true"}),
    }


def _parted_pages() -> dict[str, str]:
    """Those that come in two parts where there is much to add up."""
    return {
        "costs by user": "/costs/?by=user",
        "costs by feature": "/costs/?by=feature",
        "costs by feature and user": "/costs/?by=feature_user",
        "customers": "/customers/",
        "the heaviest user": "/costs/user/?user=user-0",
        "a feature": "/costs/feature/?feature=feature-3",
        "the overview, filtered": "/?feature=feature-3&model=model-4",
    }


def _budget(name: str) -> str:
    """Of ui.md 5.3, in milliseconds."""
    kinds = {"page": "≤ 150", "fragment": "≤ 80", "poll": "≤ 5"}
    return next(limit for kind, limit in kinds.items() if name.startswith(kind))


def _ask(warehouse: duckdb.DuckDBPyConnection, statements: list[str]) -> None:
    for statement in statements:
        warehouse.execute(statement).fetchall()


def _deep(server: RealServer) -> str:
    with server.connect() as connection:
        found = connection.execute(
            "SELECT id FROM event WHERE id < event_id_floor(now() - interval '60 days') ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert found
    return f"evt_{str(found[0]).replace('-', '')}"


def _bytes_per_event(server: RealServer, events: int) -> float:
    with server.connect() as connection:
        found = connection.execute("SELECT pg_database_size(current_database())::text").fetchone()
    assert found
    return int(str(found[0])) / events


def _percentile_errors(server: RealServer, warehouse: duckdb.DuckDBPyConnection) -> list[float]:
    script = """
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from dashboard.filters import Filters
from dashboard.queries import latency
from events.models import Organization
filters = Filters.from_query({}, datetime.now(UTC), ZoneInfo("UTC"))
found = latency.of_period(Organization.objects.get().pk, filters).answer
print(json.dumps([found.p50, found.p95, found.p99]))
"""
    shown = json.loads(server.command("shell", "-v0", "-c", script))
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=29)
    found = warehouse.execute(
        f"SELECT quantile_cont(latency_ms, [0.5, 0.95, 0.99]) FROM native WHERE moment >= '{start}'"
    ).fetchone()
    assert found
    return [abs(one / exact - 1) for one, exact in zip(shown, found[0], strict=True)]


if __name__ == "__main__":
    sys.exit(main())
