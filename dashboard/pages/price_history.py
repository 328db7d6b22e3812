"""What a model cost before, and the revisions of the catalog that changed it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from dashboard import formats
from dashboard.formats import count, money
from dashboard.pages import rates
from dashboard.pages.rates import RateCell, Source
from dashboard.queries.price import RevisionRow
from dashboard.queries.rate_cards import CardRow
from dashboard.visit import Visit
from pricing.costs import Meter

type IsModel = Callable[[str, str, datetime], bool]

KINDS = {
    "import": "Import of a price list",
    "override": "Own price",
    "correction": "Correction",
    "retraction": "Taken back",
}
BASIS = {"documented": "", "observed": "date as observed", "assumed": "date assumed"}


@dataclass(frozen=True)
class HistoryRow:
    """One rate card; one cell for each of the page's meters."""

    validity: str
    basis: str
    """How the date is known, where it is not documented."""
    tier: str
    when: str
    cells: Sequence[RateCell]
    source: Source
    revision: str
    replaced: str
    """Which revision replaced it, when and why; '' while the card stands."""


@dataclass(frozen=True)
class Change:
    """One revision of the catalog that touched the model."""

    revision: int
    kind: str
    moment: str
    day: str
    note: str
    effect: str
    """What it did to stored requests; '' where that is unknown or not for this reader."""


def history_rows(cards: Sequence[CardRow], meters: Sequence[Meter], visit: Visit) -> tuple[HistoryRow, ...]:
    """The cards as rows, in their order."""
    return tuple(_row(card, meters, visit, "") for card in cards)


def replaced_rows(
    cards: Sequence[CardRow], revisions: Sequence[RevisionRow], meters: Sequence[Meter], visit: Visit
) -> tuple[HistoryRow, ...]:
    """Cards that another revision replaced, the latest replaced first."""
    known = {revision.id: revision for revision in revisions}
    ordered = sorted(cards, key=lambda card: card.superseded_in or 0, reverse=True)
    return tuple(_row(card, meters, visit, _replaced(card, known, visit)) for card in ordered)


def _row(card: CardRow, meters: Sequence[Meter], visit: Visit, replaced: str) -> HistoryRow:
    window = rates.window_words(card.window) if card.window else ""
    region = "" if card.region == "global" else f"region {card.region}"
    return HistoryRow(
        validity=rates.validity_words(card.valid_from, card.valid_to, visit.zone),
        basis=BASIS[card.date_basis] if card.valid_from or card.valid_to else "",
        tier=card.tier,
        when=", ".join(part for part in (region, window) if part),
        cells=rates.cells(card.rates, meters),
        source=rates.source_of(card),
        revision=f"revision {card.created_in}, {formats.day(card.created_at.astimezone(visit.zone))}",
        replaced=replaced,
    )


def _replaced(card: CardRow, known: dict[int, RevisionRow], visit: Visit) -> str:
    words = f"replaced by revision {card.superseded_in}"
    revision = known.get(card.superseded_in or 0)
    if revision is None:
        return words
    return f"{words} on {formats.day(revision.created_at.astimezone(visit.zone))}: {revision.note}"


def changes(revisions: Sequence[RevisionRow], visit: Visit, is_model: IsModel) -> tuple[Change, ...]:
    """The revisions as rows; `is_model` tells whether a provider and model, as sent, meant the model at a time.

    An effect counts the requests of every organization that the revision touches, so one of everybody's prices is
    shown only to who administers them all.
    """
    return tuple(
        Change(
            revision=revision.id,
            kind=KINDS[revision.kind],
            moment=formats.moment(revision.created_at, visit.zone),
            day=formats.day(revision.created_at.astimezone(visit.zone)),
            note=revision.note,
            effect=_effect(revision, is_model) if revision.is_own or visit.is_superuser else "",
        )
        for revision in revisions
    )


def _effect(revision: RevisionRow, is_model: IsModel) -> str:
    """What it did to the requests of this model: "120 requests, $1.20 → $0.90"."""
    effect = revision.summary.get("effect")
    listed = effect.get("models", ()) if isinstance(effect, dict) else ()
    found = [one for one in listed if is_model(one["provider"], one["model"], revision.created_at)]
    if not found:
        return ""
    events = sum(int(one["events"]) for one in found)
    before, after = (sum(int(Decimal(one[f"{when}_picousd"])) for one in found) for when in ("before", "after"))
    return f"{count(events)} {'request' if events == 1 else 'requests'}, {money(before)} → {money(after)}"
