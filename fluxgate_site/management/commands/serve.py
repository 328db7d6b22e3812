"""`manage.py serve`: everything in one process tree. SIGTERM or Ctrl-C stops it gracefully, the database last."""

import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from fluxgate_site import children, embedded_postgres, first_start
from fluxgate_site.child_process import die_with
from fluxgate_site.children import Child

PORT_SECONDS = 10
READY_SECONDS = 60


class _Stop(Exception):
    """Somebody asked the server to stop."""


class Command(BaseCommand):
    help = "Start everything: the embedded database (unless DATABASE_URL is set), migrations, prices, web server, jobs."
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
        except (embedded_postgres.ClusterError, children.KeepsEnding) as error:
            raise CommandError(str(error)) from None

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def _supervise(self, database: embedded_postgres.Server | None, lines: list[str]) -> None:
        """Keep the database, the web server and the job worker alive until somebody stops us."""
        web = Child("web server", _web_command(), self._say, is_vital=True)
        jobs = Child("job worker", [sys.executable, "manage.py", "jobs"], self._say, is_vital=False)
        try:
            web.start()
            self._announce(web, lines)
            # Only now: its start would cost the web server time that somebody is waiting for.
            jobs.start()
            while True:
                if database is not None and not database.is_alive():
                    self._say("PostgreSQL ended unexpectedly; starting it again.")
                    database.restart()
                for child in (web, jobs):
                    child.keep_alive(time.monotonic())
                time.sleep(0.25)
        finally:
            children.stop((web, jobs))

    def _announce(self, web: Child, lines: list[str]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready() and web.is_running:
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


def _web_command() -> list[str]:
    return [
        *(sys.executable, "-m", "granian", "--factory", "fluxgate_site.web_worker:application"),
        *("--interface", "asgi", "--http", "1", "--no-ws", "--loop", "uvloop"),
        *("--host", settings.HOST, "--port", str(settings.PORT)),
        *("--workers", str(settings.WORKERS), "--respawn-failed-workers", "--respawn-interval", "0.5"),
        *("--workers-kill-timeout", "15", "--backlog", "2048", "--log-level", "warning"),
        # Idle connections are cheap, and must not keep others out.
        *("--backpressure", "10000", "--http1-header-read-timeout", "10000", "--http1-buffer-size", "65536"),
    ]


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
