"""`manage.py serve`: everything in one process tree. SIGTERM or Ctrl-C stops it gracefully, web first."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fluxgate_site import embedded_postgres, first_start
from fluxgate_site.child_process import die_with

STOP_SECONDS = 20
"""How long the web processes may finish what they have begun."""
PORT_SECONDS = 10
READY_SECONDS = 60
QUICK_DEATH_SECONDS = 5
QUICK_DEATHS = 3


class _Stop(Exception):
    """Somebody asked the server to stop."""


class Command(BaseCommand):
    help = "Start everything: the embedded database (unless DATABASE_URL is set), migrations, prices, the web server."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--with-parent", action="store_true", help="End when the process that started this one is killed (Linux)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["with_parent"]:
            die_with(os.getppid())
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)
        try:
            with ExitStack() as stack:
                cluster: embedded_postgres.Cluster | None = settings.EMBEDDED_CLUSTER
                database = None
                if cluster is not None:
                    database = stack.enter_context(embedded_postgres.running(cluster, on_progress=self._say))
                _wait_for_port(settings.HOST, settings.PORT)
                lines = first_start.prepare(self._say)
                self._supervise(database, lines)
        except _Stop:
            self._say("Stopped.")
        except embedded_postgres.ClusterError as error:
            raise CommandError(str(error)) from None

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _supervise(self, database: embedded_postgres.Server | None, lines: list[str]) -> None:
        """Keep the web server and the database alive until somebody stops us."""
        deaths: list[float] = []
        web = _start_web()
        try:
            self._announce(web, lines)
            while True:
                if database is not None and not database.is_alive():
                    self._say("PostgreSQL ended unexpectedly; starting it again.")
                    database.restart()
                try:
                    code = web.wait(timeout=0.25)
                except subprocess.TimeoutExpired:
                    continue
                now = time.monotonic()
                deaths = [at for at in deaths if now - at < QUICK_DEATH_SECONDS * QUICK_DEATHS] + [now]
                if len(deaths) > QUICK_DEATHS:
                    raise CommandError("The web server keeps ending; see the messages above.")
                self._say(f"The web server ended unexpectedly (code {code}); starting it again.")
                web = _start_web()
        finally:
            _stop_web(web)

    def _announce(self, web: "subprocess.Popen[bytes]", lines: list[str]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready() and web.poll() is None:
            if time.monotonic() > deadline:
                self._say(f"The server does not answer /readyz after {READY_SECONDS} seconds; see the messages above.")
                break
            time.sleep(0.1)
        self._say("\n".join(lines))


def _stop(signal_number: int, frame: FrameType | None) -> None:
    # Once is enough: a second signal must not interrupt the shutdown.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _Stop


def _start_web() -> "subprocess.Popen[bytes]":
    command = [
        *(sys.executable, "-m", "granian", "fluxgate_site.asgi:application"),
        *("--interface", "asgi", "--http", "1", "--no-ws", "--loop", "uvloop"),
        *("--host", settings.HOST, "--port", str(settings.PORT)),
        *("--workers", str(settings.WORKERS), "--respawn-failed-workers", "--respawn-interval", "0.5"),
        *("--workers-kill-timeout", "15", "--backlog", "2048", "--log-level", "warning"),
        # Idle connections are cheap, and must not keep others out.
        *("--backpressure", "10000", "--http1-header-read-timeout", "10000", "--http1-buffer-size", "65536"),
    ]
    serve = os.getpid()
    environment = os.environ | {"FLUXGATE_SERVE_PID": str(serve)}
    # A session of its own: Ctrl-C reaches only us, and we stop the web server before the database.
    return subprocess.Popen(  # noqa: S603  the command is ours
        command, env=environment, cwd=settings.BASE_DIR, start_new_session=True, preexec_fn=lambda: die_with(serve)
    )


def _stop_web(web: "subprocess.Popen[bytes]") -> None:
    if web.poll() is not None:
        return
    web.terminate()
    try:
        web.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        web.kill()
        web.wait()


def _wait_for_port(host: str, port: int) -> None:
    """Return once the address can be bound. The processes of a killed server may hold it for another moment."""
    deadline = time.monotonic() + PORT_SECONDS
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CommandError(
                        f"Port {port} on {host} cannot be used ({error.strerror}). Set PORT to another one."
                    ) from None
                time.sleep(0.2)
            else:
                return


def _is_ready() -> bool:
    host = "127.0.0.1" if settings.HOST in ("0.0.0.0", "::", "") else settings.HOST  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    try:
        # Never through a proxy that the environment names.
        with build_opener(ProxyHandler({})).open(f"http://{host}:{settings.PORT}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
