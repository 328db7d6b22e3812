"""What `manage.py import_prices` shows: the lists, what they change, who disagrees, what it does to stored events."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from events.price_changes import Change
from events.touched import Effect
from pricing.costs import usd
from pricing.importers.cross_check import SECOND_LIST, Disagreement, by_model
from pricing.importers.rows import PriceList
from pricing.importers.store import Imported

_SHOWN_MODELS = 30


def show_lists(console: Console, lists: Iterable[PriceList]) -> None:
    """What was read."""
    table = Table("read", "version", "models", "names", "rate cards", "tier rules")
    for each in lists:
        counts = (len(each.models), len(each.aliases), len(each.cards), len(each.policies))
        table.add_row(each.source, each.version, *(f"{count:,}" for count in counts))
    console.print(table)


def show_changes(console: Console, imported: Iterable[Imported], effect: Effect) -> None:
    """The difference of each list, and the effect on stored events."""
    for each in imported:
        _show_difference(console, each)
    _show_effect(console, effect)


def _show_difference(console: Console, imported: Imported) -> None:
    counts = {name: count for name, count in imported.difference.counts().items() if count}
    if not counts:
        told = "no price changes" if imported.revision is None else "no price changes; the version is recorded"
        console.print(f"{imported.source}: {told}.")
        return
    table = Table(imported.source, "rows")
    for name, count in counts.items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    console.print(table)
    summary = imported.difference.summary()
    for key, title in (("repriced_models", "rates replaced"), ("dropped_models", "no longer listed, kept")):
        if models := summary[key]:
            console.print(f"{title}: {_some(models)}")
    for note in imported.notes:
        console.print(f"not taken over: {note}")


def _show_effect(console: Console, effect: Effect) -> None:
    if not effect.models:
        console.print("No stored event changes its cost.")
        return
    table = Table("stored events of", "events", "USD before", "USD after", "change", "unpriced before", "after")
    for model in effect.models:
        change = model.after_picousd - model.before_picousd
        # Where none of them has a price, the sum is unknown, and not zero.
        before = "—" if model.unpriced_before == model.events else exact_usd(model.before_picousd)
        after = "—" if model.unpriced_after == model.events else exact_usd(model.after_picousd)
        figures = (before, after, exact_usd(change, signed=True))
        unpriced = (f"{model.unpriced_before:,}", f"{model.unpriced_after:,}")
        table.add_row(f"{model.provider}/{model.model}", f"{model.events:,}", *figures, *unpriced)
    table.add_row("all", f"{effect.events:,}", "", "", exact_usd(effect.delta_picousd, signed=True), "", "")
    console.print(table)


def show_disagreements(console: Console, found: Sequence[Disagreement]) -> None:
    """Every model on which the second list differs, with both values and both sources."""
    for (provider, model, tier, at), rates in by_model(found).items():
        first = rates[0]
        settled = " (settled by a correction)" if all(rate.is_settled for rate in rates) else ""
        known = " (as before this import)" if not settled and all(rate.was_known for rate in rates) else ""
        console.print(
            f"{SECOND_LIST} disagrees on {provider}/{model}, {tier}, at {at:%Y-%m-%d %H:%M} UTC{settled}{known}"
        )
        for rate in rates:
            over = f" over {rate.prompt_over:,} tokens" if rate.prompt_over else ""
            console.print(f"  {rate.meter}{over}: ours {_plain(rate.ours)}, theirs {_plain(rate.theirs)} USD per 1M")
        console.print(f"  ours:   {first.our_source}")
        console.print(f"  theirs: {first.their_source}")


def show_reasons(console: Console, reasons: Sequence[str]) -> None:
    """Why the import has to be approved."""
    if reasons:
        console.print("This has to be approved:")
        for reason in reasons:
            console.print(f"- {reason}")


def show_published(console: Console, change: Change[tuple[Imported, ...]]) -> None:
    """Which revisions were made, and what happens to stored events now."""
    revisions = [str(each.revision) for each in change.result if each.revision is not None]
    console.print(f"Written as revision{'s' if len(revisions) > 1 else ''} {' and '.join(revisions)}.")
    events = change.effect.events
    if events:
        told = "1 event is" if events == 1 else f"{events:,} events are"
        console.print(f"{told} being priced anew by the job worker of `serve`. To do it here: manage.py reprice")


def exact_usd(picousd: int, *, signed: bool = False) -> str:
    """An amount to its last decimal, with two at least."""
    whole, _, decimals = f"{usd(picousd):+,.12f}".partition(".")
    text = f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
    return text if signed else text.removeprefix("+")


def _plain(rate: object) -> str:
    """1.250000 as 1.25, 100 as 100."""
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _some(models: Sequence[str]) -> str:
    more = f" and {len(models) - _SHOWN_MODELS:,} more" if len(models) > _SHOWN_MODELS else ""
    return f"{', '.join(models[:_SHOWN_MODELS])}{more}"
