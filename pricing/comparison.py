"""Where two revisions of the catalog price the same call differently. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pricing.index import SINCE_EVER
from pricing.resolution import Catalog, Choices, Key, Resolution


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time, milliseconds since 1970, start included and end not, with what now applies throughout it."""

    start_ms: int
    end_ms: int
    now: Resolution


def changed_pieces(before: Catalog, after: Catalog, key: Key, start_ms: int, end_ms: int) -> list[Piece]:
    """The stretches of the period in which `after` gives calls another price, or another reason for none."""
    return list(_joined(_differing(before, after, key, start_ms, end_ms)))


def _differing(before: Catalog, after: Catalog, key: Key, start_ms: int, end_ms: int) -> Iterator[Piece]:
    inner = {at for catalog in (before, after) for at in catalog.changes(key) if start_ms < at < end_ms}
    edges = sorted({max(start_ms, SINCE_EVER), *inner, end_ms})
    for start, end in pairwise(edges):
        old, new = before.choices(key, start), after.choices(key, start)
        if _prices(old) != _prices(new):
            yield from _by_window(old, new, start, end)


def _by_window(old: Choices, new: Choices, start_ms: int, end_ms: int) -> Iterator[Piece]:
    windows = [window for window, _ in (*old, *new) if window is not None]
    inner = {at for window in windows for at in window.edges(start_ms, end_ms)}
    edges = sorted({start_ms, *inner, end_ms})
    for start, end in pairwise(edges):
        was, now = _at(old, start), _at(new, start)
        if _price(was) != _price(now):
            yield Piece(start, end, now)


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    pending: Piece | None = None
    for piece in pieces:
        if pending and pending.end_ms == piece.start_ms and pending.now == piece.now:
            pending = Piece(pending.start_ms, piece.end_ms, piece.now)
            continue
        if pending:
            yield pending
        pending = piece
    if pending:
        yield pending


def _at(choices: Choices, at: int) -> Resolution:
    return next(found for window, found in choices if window is None or window.covers(at))


def _prices(choices: Choices) -> tuple[Any, ...]:
    return tuple((window, _price(found)) for window, found in choices)


def _price(found: Resolution) -> tuple[Any, ...]:
    """What decides a cost: two cards with the same rates are the same price."""
    return (found.status, found.card and (found.card.bands, found.card.has_other_charges))
