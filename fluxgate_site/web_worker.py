"""What granian calls in each of its workers, before anything that takes long: the factory of the application."""

import os
import signal
from typing import TYPE_CHECKING

from fluxgate_site import child_process

if TYPE_CHECKING:
    from fluxgate_site.asgi import Application


def application() -> "Application":
    """Tie the worker's life to the server's, then import the application, which takes a second."""
    # The forked worker has granian's handlers, which merely note a signal, until it gets its own: stopped before that,
    # it would serve on until it is killed, 15 s later.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if serve_pid := os.environ.get("FLUXGATE_SERVE_PID"):
        child_process.die_with_grandparent(int(serve_pid))
    from fluxgate_site.asgi import application

    return application
