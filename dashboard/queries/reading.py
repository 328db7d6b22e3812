"""How pages read: all statements of a page see one snapshot, so that its figures agree with each other."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast

from django.db import connection, transaction

STATEMENT_TIMEOUT_MS = 15_000
WORK_MEM = "64MB"
"""For one sort or table of sums: those of many thousands of users are kept from being written to disk."""


@dataclass(frozen=True)
class Sql:
    """A piece of SQL with the values of its placeholders, in order."""

    text: str
    params: tuple[Any, ...] = ()

    @classmethod
    def all_of(cls, pieces: Sequence["Sql"]) -> "Sql":
        """The pieces joined by AND."""
        return cls(" AND ".join(piece.text for piece in pieces), tuple(p for piece in pieces for p in piece.params))


_read: ContextVar[dict[Hashable, Any] | None] = ContextVar("read", default=None)


def once[T](key: Hashable, load: Callable[[], T]) -> T:
    """What `load` reads, once in a snapshot: there it would find the same again."""
    found = _read.get()
    if found is None:
        return load()
    if key not in found:
        found[key] = load()
    return cast(T, found[key])


@contextmanager
def snapshot() -> Iterator[None]:
    """One read-only transaction in which every statement sees the same committed state.

    Inside a transaction that is open already (as tests have one) that transaction's rules stay in force.
    """
    outer = _read.set({})
    try:
        if connection.in_atomic_block:
            yield
            return
        with transaction.atomic():
            with connection.cursor() as cursor:
                # In one exchange: every page begins with it.
                cursor.execute(
                    f"""SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}; SET LOCAL work_mem = '{WORK_MEM}'"""
                )
            yield
    finally:
        _read.reset(outer)


def fetch(statement: str, params: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of one statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows
