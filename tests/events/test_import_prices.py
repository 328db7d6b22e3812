"""manage.py import_prices: what is applied at once, what waits for somebody, and what stored events cost afterwards.

The installed lists are replaced by short ones, and the catalog starts empty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events import price_imports
from events.management.commands import import_prices
from events.management.commands.import_prices import NeedsApproval
from events.models import Organization, RepriceJob
from events.price_import_report import exact_usd
from events.price_imports import Trial
from fluxgate_site import first_start
from pricing.catalog import current_revision, load
from pricing.costs import Usage
from pricing.importers import corrections, genai
from pricing.importers.rows import CardRow, PriceList
from pricing.importers.store import Imported
from pricing.models import PricingRevision, PricingSnapshot
from tests.events_table import USD, Call, store_events
from tests.pricing.test_cross_check import Second
from tests.pricing.test_store import AT, card, price_list, rate

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 1, tzinfo=UTC)
FUTURE = datetime(2100, 1, 1, tzinfo=UTC)
MILLION = Usage(1_000_000, 0)


def corrected(*cards: CardRow) -> PriceList:
    """A list of corrections with these cards."""
    empty: dict[str, Any] = dict.fromkeys(("providers", "provider_aliases", "models", "aliases", "policies"), ())
    raw = repr(cards).encode()
    return PriceList(source="corrections.yaml", version=str(len(raw)), raw=raw, cards=cards, layer=20, **empty)


@dataclass
class Lists:
    """What the installed lists say; a test changes it as an upgrade would."""

    library: PriceList = field(default_factory=lambda: price_list("1", [card("m", "1")]))
    corrections: PriceList = field(default_factory=corrected)
    second: Second = field(default_factory=lambda: Second({}))


@pytest.fixture(autouse=True)
def lists(monkeypatch: pytest.MonkeyPatch) -> Lists:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE pricing_revision, pricing_provider CASCADE")
    installed = Lists()
    monkeypatch.setattr(genai, "read_price_list", lambda: installed.library)
    monkeypatch.setattr(corrections, "read_corrections", lambda: installed.corrections)
    monkeypatch.setattr(import_prices, "load_second_list", lambda: installed.second)
    return installed


def run(**options: Any) -> str:
    out = StringIO()
    call_command("import_prices", stdout=out, no_color=True, **options)
    return out.getvalue()


@pytest.fixture
def acme() -> Organization:
    return Organization.objects.create(name="Acme", slug="acme")


def test_an_empty_catalog_is_filled_at_once_and_again_changes_nothing(lists: Lists) -> None:
    lists.corrections = corrected(card("m", "2"))
    lists.second = Second({"m": {"input": "1"}})
    dry = run(dry_run=True)
    assert "new models" in dry
    assert "Dry run: nothing was written." in dry
    assert (current_revision(), PricingRevision.objects.count()) == (0, 0)
    first = run()
    library, corrections_revision = PricingRevision.objects.order_by("pk")
    assert f"Written as revisions {library.pk} and {corrections_revision.pk}." in first
    assert "ours 2, theirs 1 USD per 1M" in first, "the disagreement that the correction settles is shown"
    assert [library.kind, corrections_revision.kind] == ["import", "correction"]
    assert rate(load(), "m") == 2_000_000
    assert run(no_cross_check=True).strip() == "The catalog is up to date."
    assert PricingRevision.objects.count() == 2


SAME = card("m", "1")


# What an upgrade brings to a catalog that knows acme's m and n for 1 USD, and a word of why it has to be approved.
UPGRADES: list[tuple[str, Sequence[CardRow], dict[str, str] | None, Sequence[CardRow], str]] = [
    ("the same prices", [SAME, card("n", "1")], None, (), ""),
    ("a new model", [SAME, card("n", "1"), card("o", "3")], None, (), ""),
    ("a model that is dropped", [SAME], None, (), ""),
    ("another name", [SAME, card("n", "1")], {"m": "m", "n": "n", "m-latest": "m"}, (), ""),
    ("a price", [card("m", "2"), card("n", "1")], None, (), "A known model changes its price: acme/m."),
    (
        "two prices",
        [card("m", "2"), card("n", "2")],
        None,
        (),
        "2 known models change their price: acme/m, acme/n.",
    ),
    (
        "a price of the future",
        [card("m", "1", None, FUTURE), card("m", "2", FUTURE), card("n", "1")],
        None,
        (),
        "A known model changes its price: acme/m.",
    ),
    ("a split without a change", [card("m", "1", None, NOW), card("m", "1", NOW), card("n", "1")], None, (), ""),
    (
        "a name that moves",
        [SAME, card("n", "1")],
        {"m": "n", "n": "n"},
        (),
        "A name moves to another model: acme/m.",
    ),
    ("a name that goes", [SAME, card("n", "1")], {"m": "m"}, (), "A known name is withdrawn: acme/n."),
    ("a correction", [SAME, card("n", "1")], None, [card("n", "7")], "A known model changes its price: acme/n."),
    ("a correction of nothing", [SAME, card("n", "1")], None, [card("n", "1")], ""),
]


@pytest.mark.parametrize(
    ("cards", "names", "corrections", "reason"), [row[1:] for row in UPGRADES], ids=[row[0] for row in UPGRADES]
)
def test_what_an_upgrade_may_do_by_itself(
    lists: Lists, cards: Sequence[CardRow], names: dict[str, str] | None, corrections: Sequence[CardRow], reason: str
) -> None:
    lists.library = price_list("1", [SAME, card("n", "1")])
    run()
    before = current_revision()
    lists.library, lists.corrections = price_list("2", cards, names), corrected(*corrections)
    dry = run(dry_run=True)
    assert reason in dry
    assert ("This has to be approved:" in dry) == bool(reason)
    if not reason:
        assert "Written as revision" in run()
        return
    with pytest.raises(NeedsApproval, match="import_prices --yes"):
        run()
    assert (current_revision(), PricingSnapshot.objects.count()) == (before, 2)
    assert "Written as revision" in run(yes=True)
    assert current_revision() > before
    assert run().strip().endswith("The catalog is up to date.")


def test_a_price_that_was_missing_prices_stored_calls_at_once(lists: Lists, acme: Organization) -> None:
    run()
    new = Call(at=NOW, provider="acme", model="new", cost=None, usage=MILLION)
    store_events(acme, [new, replace(new, at=NOW + timedelta(hours=1))])
    lists.library = price_list("2", [SAME, card("new", "0.123456")])
    shown = run()
    assert "acme/new" in shown
    assert "0.246912" in shown
    assert "2 events are being priced anew by the job worker" in shown
    job = RepriceJob.objects.get()
    assert (job.total, job.finished_at) == (2, None)
    assert job.expected["delta_picousd"] == "246912000000"
    assert run().strip().endswith("The catalog is up to date.")
    assert RepriceJob.objects.count() == 1


def test_stored_calls_that_get_another_cost_are_shown_to_the_last_decimal(lists: Lists, acme: Organization) -> None:
    run()
    usage = Usage(1_000_001, 0)
    store_events(acme, [Call(at=NOW, provider="acme", model="m", cost=1_000_001_000_000, usage=usage)])
    lists.library = price_list("2", [card("m", "1.000001")])
    shown = run(dry_run=True)
    assert "1 stored event with a cost gets another." in shown
    for figure in ("1.000001", "1.000002000001", "+0.000001000001"):
        assert figure in shown
    assert not RepriceJob.objects.exists()
    with pytest.raises(NeedsApproval):
        run()


DISPUTED = Second({"m": {"input": "9"}, "o": {"input": "9"}})


@pytest.mark.parametrize(
    ("second", "corrections", "options", "reason"),
    [
        (Second({"o": {"input": "3", "output": "3"}}), [], {}, ""),
        (DISPUTED, [], {}, "metergraph-core disagrees on a model: acme/o."),
        (DISPUTED, [], {"check_all": True}, "metergraph-core disagrees on a model: acme/o."),
        (DISPUTED, [], {"no_cross_check": True}, ""),
        (DISPUTED, [card("o", "3")], {}, ""),  # somebody has decided
    ],
)
def test_a_new_model_on_which_the_second_list_disagrees_waits(
    lists: Lists, second: Second, corrections: Sequence[CardRow], options: dict[str, bool], reason: str
) -> None:
    lists.second = second
    run()
    lists.library = price_list("2", [SAME, card("o", "3")])
    lists.corrections = corrected(*corrections)
    shown = run(dry_run=True, **options)
    assert reason in shown
    assert ("This has to be approved:" in shown) == bool(reason)
    assert ("settled by a correction" in shown) == bool(corrections)
    assert ("disagrees on acme/m" in shown) == bool(options.get("check_all"))


def test_a_disagreement_that_was_there_before_does_not_stop_an_import(lists: Lists) -> None:
    lists.second = Second({"m": {"input": "9"}})
    run()
    lists.library = price_list("2", [card("m", "1", None, NOW), card("m", "1", NOW)])
    shown = run()
    assert "disagrees on acme/m, standard" in shown
    assert "(as before this import)" in shown
    assert "Written as revision" in shown


class Terminal(StringIO):
    """Somebody at the keyboard."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("YES", True), ("n", False), ("", False)])
def test_somebody_at_a_terminal_is_asked(
    lists: Lists, monkeypatch: pytest.MonkeyPatch, answer: str, is_written: bool
) -> None:
    run()
    before = current_revision()
    lists.library = price_list("2", [card("m", "2")])
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    shown = run()
    assert ("Written as revision" in shown, "Nothing was written." in shown) == (is_written, not is_written)
    assert (current_revision() > before) == is_written


def test_nobody_is_asked_where_no_input_is_wanted(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    lists.library = price_list("2", [card("m", "2")])
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    with pytest.raises(NeedsApproval):
        run(interactive=False)


def test_a_catalog_that_changed_after_the_trial_is_not_written_to(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: Callable[..., Trial] = price_imports.try_import

    def overtaken(*arguments: Any, **options: Any) -> Trial:
        trial = tried(*arguments, **options)
        PricingRevision.objects.create(created_at=NOW, kind="override", note="somebody else", summary={})
        return trial

    monkeypatch.setattr(import_prices, "try_import", overtaken)
    with pytest.raises(CommandError, match="changed meanwhile; nothing was written"):
        run()
    assert PricingRevision.objects.count() == 1


def test_lists_that_cannot_be_read_or_contradict_themselves_say_so(
    lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists.corrections = corrected(card("unheard-of", "1"))
    with pytest.raises(CommandError, match=r"not in the catalog: acme/unheard-of\. Nothing was written"):
        run()
    lists.corrections = corrected(card("m", "1"), card("m", "2"))
    with pytest.raises(CommandError, match="contradict themselves"):
        run()

    def broken() -> PriceList:
        raise ValueError("corrections.yaml: acme: cards: …")

    monkeypatch.setattr(corrections, "read_corrections", broken)
    with pytest.raises(CommandError, match=r"corrections\.yaml: acme: cards"):
        run()
    assert current_revision() == 0


@pytest.mark.parametrize(
    ("picousd", "signed", "text"),
    [
        (0, False, "0.00"),
        (USD, False, "1.00"),
        (1, False, "0.000000000001"),
        (-1_234_567_500_000_000, False, "-1,234.5675"),
        (1_500_000_000_000, True, "+1.50"),
    ],
)
def test_amounts_are_exact(picousd: int, signed: bool, text: str) -> None:
    assert exact_usd(picousd, signed=signed) == text


@pytest.fixture
def start(lists: Lists, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], list[str]]:
    """The step of a server's start that imports prices; returns what it says."""
    monkeypatch.setattr("django.conf.settings.DATA_DIR", tmp_path)

    def versions() -> tuple[tuple[str, str], ...]:
        return tuple((each.source, each.version) for each in (lists.library, lists.corrections))

    monkeypatch.setattr("pricing.importers.store.list_versions", versions)

    def started() -> list[str]:
        said: list[str] = []
        first_start._import_prices(said.append)
        return said

    return started


def test_a_server_that_starts_imports_what_is_new_and_nothing_twice(
    lists: Lists, start: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start() == [f"Loading the price catalog (acme-prices 1, corrections.yaml {lists.corrections.version})"]
    assert rate(load(), "m") == 1_000_000
    tried: list[Imported] = []
    monkeypatch.setattr(import_prices, "try_import", tried.append)
    assert (start(), tried) == ([], [])


def test_a_server_that_starts_keeps_the_old_prices_until_somebody_approves(
    lists: Lists, start: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    lists.library = price_list("2", [card("m", "2"), card("o", "1")])
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    loading, kept = start()
    assert loading == "Loading the price catalog (acme-prices 2)"
    assert kept.startswith("New prices change known ones, so the old ones stay until somebody approves")
    assert "manage.py import_prices --yes" in kept
    assert "\n" not in kept
    assert rate(load(), "m") == 1_000_000
    assert start() == [kept], "the next start does not try it again"
    lists.corrections = corrected(card("o", "3"))
    assert start() == [f"Loading the price catalog (acme-prices 2, corrections.yaml {lists.corrections.version})", kept]
    run(yes=True)
    assert (start(), rate(load(), "m")) == ([], 2_000_000)


def test_a_version_that_comes_back_is_imported_again(lists: Lists, start: Callable[[], list[str]]) -> None:
    old, new = lists.library, price_list("2", [SAME, card("o", "1")])
    for wanted in (old, new, old):
        lists.library = wanted
        assert start() != []
        assert start() == []
    lists.corrections = corrected(card("o", "4"))
    assert "import_prices --yes" in start()[-1]
    run(yes=True)
    lists.corrections = corrected()
    assert "import_prices --yes" in start()[-1]
    run(yes=True)
    assert rate(load(), "o", AT) == 1_000_000
    assert start() == []


def test_a_server_that_starts_goes_on_with_a_file_that_cannot_be_read(
    lists: Lists, start: Callable[[], list[str]]
) -> None:
    start()
    lists.corrections = corrected(card("unheard-of", "1"))
    assert start()[1].startswith(
        "The new prices could not be loaded, so the old ones stay. corrections.yaml prices models"
    )
    assert rate(load(), "m") == 1_000_000


def test_a_first_start_without_prices_fails(lists: Lists, start: Callable[[], list[str]]) -> None:
    lists.corrections = corrected(card("unheard-of", "1"))
    with pytest.raises(CommandError, match="unheard-of"):
        start()
