"""The processes that `serve` runs beside the database: started, kept alive, and stopped together."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable

from django.conf import settings

from fluxgate_site.child_process import die_with

STOP_SECONDS = 20
"""How long they may finish what they have begun."""
QUICK_DEATH_SECONDS = 5
QUICK_DEATHS = 3
REST_SECONDS = 30
_STOPS = {signal.SIGTERM, signal.SIGINT}

Say = Callable[[str], None]


class KeepsEnding(Exception):
    """A process that nothing works without ends again and again; the text says which."""


class Child:
    """One process, started again whenever it ends.

    It has a session of its own: Ctrl-C reaches `serve` alone, which ends its children before the database. On Linux it
    dies with `serve`, even if that is killed.
    """

    def __init__(self, name: str, command: list[str], say: Say, *, is_vital: bool) -> None:
        """`name` as in "The … ended"; without a vital one, serving makes no sense."""
        self.name = name
        self._command = command
        self._say = say
        self._is_vital = is_vital
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: list[float] = []
        self._rests_until = 0.0

    @property
    def is_running(self) -> bool:
        """Whether the process lives; it may still be starting."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, without waiting until it is of use."""
        serve = os.getpid()

        def prepare() -> None:
            die_with(serve)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

        # What a signal's handler raises while Python forks is lost, and with it the wish to stop.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        try:
            self._process = subprocess.Popen(  # noqa: S603  the command is ours
                self._command,
                env=os.environ | {"FLUXGATE_SERVE_PID": str(serve)},
                cwd=settings.BASE_DIR,
                start_new_session=True,
                preexec_fn=prepare,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def keep_alive(self, now: float) -> None:
        """Start it again if it has ended; call this a few times a second, with `time.monotonic()`.

        After a few quick ends in a row, a vital one raises KeepsEnding; any other is left alone for 30 s.
        """
        if self.is_running or now < self._rests_until:
            return
        if self._process is None:
            self.start()
            return
        code, self._process = self._process.returncode, None
        self._deaths = [at for at in self._deaths if now - at < QUICK_DEATH_SECONDS * QUICK_DEATHS] + [now]
        if len(self._deaths) <= QUICK_DEATHS:
            self._say(f"The {self.name} ended unexpectedly (code {code}); starting it again.")
            self.start()
        elif self._is_vital:
            raise KeepsEnding(f"The {self.name} keeps ending; see the messages above.")
        else:
            self._say(f"The {self.name} keeps ending; trying again in {REST_SECONDS} seconds.")
            self._rests_until = now + REST_SECONDS

    def ask_to_stop(self) -> None:
        """Send SIGTERM, without waiting."""
        if self._process is not None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until it has ended; kill it at the deadline, a `time.monotonic()`."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def stop(children: Iterable[Child]) -> None:
    """Stop all of them at the same time, gracefully for 20 s."""
    children = list(children)
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        child.end(deadline)
