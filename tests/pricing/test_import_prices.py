"""manage.py import_prices, with the package replaced by a short list."""

from io import StringIO

import pytest
from django.core.management import call_command

from pricing.catalog import current_revision
from pricing.importers import genai
from pricing.importers.rows import PriceList
from tests.pricing.test_store import card, price_list

pytestmark = pytest.mark.django_db


def run(**options: bool) -> str:
    out = StringIO()
    call_command("import_prices", stdout=out, no_color=True, **options)
    return out.getvalue()


@pytest.fixture(autouse=True)
def short_list(monkeypatch: pytest.MonkeyPatch) -> PriceList:
    wanted = price_list("1", [card("m", "1")])
    monkeypatch.setattr(genai, "read_price_list", lambda: wanted)
    return wanted


def test_the_command_says_what_it_changes_and_is_idempotent() -> None:
    before = current_revision()
    dry = run(dry_run=True)
    assert "nothing was written" in dry
    assert current_revision() == before
    first = run()
    assert "new models" in first
    assert f"revision {current_revision()}" in first
    assert current_revision() > before
    assert run().strip() == "The catalog is up to date."
