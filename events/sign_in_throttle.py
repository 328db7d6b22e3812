"""Slows down who guesses passwords: after too many failures for an e-mail address from one place, no more tries.

Failures are lines of a file per quarter of an hour, which all worker processes append to: short appends are atomic, no
schema and no cache server are needed, and hashing passwords bounds how many lines a quarter can get.
"""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

MAX_FAILURES = 10
WINDOW = timedelta(minutes=15)
_FAILED, _SUCCEEDED = "-", "+"


def is_refused(folder: Path, email: str, address: str, now: datetime) -> bool:
    """Whether this e-mail address has failed MAX_FAILURES times from this network address within WINDOW."""
    since = (now - WINDOW).timestamp()
    who, failures = _who(email, address), 0
    for quarter in (now - WINDOW, now):
        for line in _lines(folder / _name(quarter)):
            at, outcome, name = line.split()
            if name == who and float(at) > since:
                failures = failures + 1 if outcome == _FAILED else 0
    return failures >= MAX_FAILURES


def record(folder: Path, email: str, address: str, now: datetime, *, succeeded: bool) -> None:
    """Remember how a try ended; a success forgives the failures before it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / _name(now)).open("a") as file:
        file.write(f"{now.timestamp()} {_SUCCEEDED if succeeded else _FAILED} {_who(email, address)}\n")
    for old in folder.iterdir():
        if old.name < _name(now - WINDOW):
            old.unlink(missing_ok=True)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def _name(at: datetime) -> str:
    return f"{int(at.timestamp() // WINDOW.total_seconds()):012d}"


def _who(email: str, address: str) -> str:
    return hashlib.sha256(f"{email.strip().lower()}\n{address}".encode()).hexdigest()[:24]
