"""Children that do not outlive their parent, however it ends."""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent, `parent`, ends (Linux; elsewhere nothing is done).

    A parent that has ended already is noticed: this process then ends at once.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def die_with_grandparent(grandparent: int) -> None:
    """The same for a process whose parent dies with `grandparent`, as the server's workers do.

    A worker may learn of this only seconds after it was forked; orphaned by then, it would serve on for ever.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    die_with(parent)
    if grandparent not in (parent, _parent_of(parent)):
        os.kill(os.getpid(), signal.SIGKILL)


def _parent_of(pid: int) -> int | None:
    try:
        # The name in brackets may hold anything; what follows it does not.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None
