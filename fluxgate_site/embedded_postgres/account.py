"""The operating-system user that PostgreSQL runs as, and how its programs are started as that user.

PostgreSQL refuses to run as root. Started as root, FluxGate gives it the user that already owns the database's files,
else the first account that exists of `ACCOUNT_NAMES` (initdb needs one that has a name, so an unused number will not
do). Started by anybody else, PostgreSQL runs as that same user.

Run as a script, this file is the launcher: it drops the privileges, ties the program's life to the supervisor's and
becomes the program. A script rather than subprocess' `preexec_fn`, which is unsafe while threads run. It is started
without site packages, so it may import the standard library only.
"""

import ctypes
import os
import pwd
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ACCOUNT_NAMES = ("fluxgate", "postgres", "nobody")
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Account:
    """An unprivileged user and its primary group."""

    uid: int
    gid: int

    def can_reach(self, path: Path) -> bool:
        """Whether it may walk down to `path` (absolute, without symbolic links), judged by the mode bits alone."""
        return self.uid == os.geteuid() or all(self._may_enter(parent) for parent in path.parents)

    def _may_enter(self, directory: Path) -> bool:
        status = directory.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def account_for(directory: Path) -> Account:
    """Return who PostgreSQL runs as when its files are in `directory`, which need not exist yet.

    Raises LookupError if this is root and no unprivileged account exists.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if directory.exists() and (status := directory.stat()).st_uid != 0:
        return Account(status.st_uid, status.st_gid)
    for name in ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    names = " or ".join(ACCOUNT_NAMES)
    raise LookupError(f"PostgreSQL does not run as root, and there is no user {names}: add one, or do not use root.")


def start(
    command: list[str],
    account: Account,
    *,
    cwd: Path,
    output: IO[bytes] | int,
    stdin: int = subprocess.DEVNULL,
    death_signal: signal.Signals = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start `command` (its program by absolute path) as `account`, in its own session, with a clean environment.

    `cwd` is entered before the privileges are dropped, so the account need not be able to walk there. On Linux the
    program gets `death_signal` when the thread that called this ends, however it ends.
    """
    launcher = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death_signal))]
    return subprocess.Popen(  # noqa: S603
        [*launcher, str(account.uid), str(account.gid), *command],
        cwd=cwd,
        env=ENVIRONMENT,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C at a terminal must reach the supervisor only
        umask=0o077,
    )


def _become(parent: int, death_signal: int, account: Account, command: list[str]) -> None:
    if account.uid != os.geteuid():
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
    if sys.platform == "linux":
        # After setuid: the kernel forgets the death signal when the credentials change.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before the signal was set
            sys.exit("the supervisor is gone")
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # ignored ones would stay ignored after exec
        signal.signal(number, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), Account(int(sys.argv[3]), int(sys.argv[4])), sys.argv[5:])
