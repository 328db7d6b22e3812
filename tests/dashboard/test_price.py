"""A model's page: its names, what it costs now and cost before, its use, and the revisions that changed it."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from dashboard.pages import rates
from events.models import Membership, Organization, Role
from pricing.costs import TierFactors
from pricing.models import PricedModel
from pricing.windows import WeeklyWindow
from tests.dashboard import price_rows
from tests.dashboard.conftest import SignIn
from tests.dashboard.test_overview import XSS, text_of
from tests.dashboard.test_prices import section
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory

START = datetime(2026, 3, 1, tzinfo=UTC)


def page(client: Client, key: str, provider: str = "acme", query: str = "") -> str:
    response = client.get(f"/pricing/{provider}/{quote(key)}/{query}")
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def big(db: None) -> PricedModel:
    return price_rows.model("big-1", names=("big-1",))


def test_the_names_it_answers_to(member: Client, big: PricedModel, organization: Organization) -> None:
    price_rows.alias(big, "big-latest", valid_from=START, valid_to=datetime(2026, 6, 1, tzinfo=UTC))
    price_rows.alias(big, "big-1-", match="prefix")
    price_rows.alias(big, r"^big-1-\d{4}$", match="regex")
    price_rows.alias(big, "big", provider_id="azure")
    price_rows.alias(big, "ours", organization_id=organization.pk)
    price_rows.alias(big, "old-name", superseded_revision=price_rows.revision())
    shown = section(page(member, "big-1"), "model-title")
    for part in (
        "big-latest 1 Mar – 31 May 2026",
        "starts with big-1-",
        r"matches ^big-1-\d{4}$",
        "big at azure",
        "ours your own",
    ):
        assert part in shown
    assert "old-name" not in shown
    assert "Also sold at this price by Microsoft Azure" in text_of(page(member, "gpt-4o", "openai"))


def test_what_each_tier_costs_now(member: Client, big: PricedModel) -> None:
    window = {"tz": "UTC", "days": [1, 2, 3, 4, 5], "ranges": [["16:30", "00:30"]]}
    price_rows.card(big, {"input": "2", ("input", 200_000): "4", "output": "10"}, valid_from=START)
    price_rows.card(big, {"input": "1", "output": "5"}, weekly_window=window)
    price_rows.card(big, {"input": "2.2", "output": "11"}, region="us", has_other_charges=True)
    price_rows.card(
        big, {"input": "77", "output": "77"}, tier="flex", valid_from=START, valid_to=START + timedelta(days=9)
    )
    price_rows.card(big, {"input": "9", "output": "90"}, tier="priority")
    price_rows.policy(big, "batch", {"input": "0.5", "output": "0.5"})
    shown = section(page(member, "big-1"), "rates-title")
    for part in (
        "Input Output Since Source",
        "standard Mon–Fri 16:30–00:30 UTC $1.00 $5.00 —",
        "standard $2.00 above 200K $4.00 $10.00 1 Mar 2026",
        "batch derived: standard rates, input × 0.5, output × 0.5 $1.00 above 200K $2.00 $5.00 1 Mar 2026",
        "priority $9.00 $90.00",
        "standard region us $2.20 $11.00",
        "batch region us derived: standard rates, input × 0.5, output × 0.5 $1.10 $5.50",
        "its costs are lower bounds",
    ):
        assert part in shown
    assert "$77.00" not in shown
    assert "Cache read" not in shown


def test_a_model_without_a_price_says_so(member: Client, big: PricedModel) -> None:
    shown = text_of(page(member, "big-1"))
    assert "Acme no price" in shown
    assert "No price is known for it now" in shown
    assert "No price was ever listed." in shown
    assert "No calls in these days." in shown


def test_the_history_says_what_replaced_what(member: Client, big: PricedModel, organization: Organization) -> None:
    fix = price_rows.revision("correction", "read the invoice again", organization_id=organization.pk)
    own = {"organization_id": organization.pk}
    price_rows.card(big, {"input": "1", "output": "2"}, valid_to=START, layer=10, date_basis="assumed")
    price_rows.card(big, {"input": "3", "output": "6"}, valid_from=START, layer=20)
    price_rows.card(big, {"input": "5", "output": "8"}, valid_from=START, superseded_revision=fix, **own)
    price_rows.card(big, {"input": "4", "output": "8"}, valid_from=START, by=fix, **own)
    markup = page(member, "big-1")
    shown = section(markup, "history-title")
    folded = text_of(re.search(r"<details.*?</details>", markup, re.DOTALL)[0])  # type: ignore[index]
    assert "since 1 Mar 2026 standard $4.00 $8.00 your own price, prices.example" in shown
    assert "since 1 Mar 2026 standard $3.00 $6.00 correction, prices.example" in shown
    assert "until 28 Feb 2026 date assumed standard $1.00 $2.00 price list" in shown
    assert "Replaced entries (1)" in folded
    assert f"replaced by revision {fix.pk} on 1 Nov 2026: read the invoice again" in folded
    assert "$5.00" in folded
    assert "$5.00" not in shown.replace(folded, "")
    assert "$4.00" in section(markup, "rates-title")
    assert f"{fix.pk} 1 Nov 2026 Correction read the invoice again" in section(markup, "changes-title")


def effect(model: str, events: int) -> dict[str, object]:
    one = {"provider": "acme", "model": model, "events": events, "before_picousd": str(2 * USD)}
    return {"effect": {"events": events, "models": [one | {"after_picousd": str(3 * USD)}]}}


@pytest.mark.parametrize(
    ("is_own", "is_superuser", "told"), [(True, False, True), (False, False, False), (False, True, True)]
)
def test_an_effect_on_everybody_is_told_only_to_who_administers_everybody(
    member: Client, organization: Organization, big: PricedModel, is_own: bool, is_superuser: bool, told: bool
) -> None:
    owner = organization.pk if is_own else None
    user = Membership.objects.get().user
    user.is_superuser = is_superuser
    user.save()
    by = price_rows.revision(summary=effect("BIG-1", 1200), organization_id=owner)
    price_rows.card(big, {"input": "1", "output": "2"}, by=by, organization_id=owner)
    other = price_rows.revision(summary=effect("another", 7), organization_id=owner)
    price_rows.card(big, {"input": "1", "output": "2"}, tier="flex", by=other, organization_id=owner)
    shown = section(page(member, "big-1"), "changes-title")
    assert ("1,200 requests, $2.00 → $3.00" in shown) is told
    assert "7 requests" not in shown


def test_its_use_leads_to_the_requests_name_by_name(
    member: Client, organization: Organization, now: datetime, big: PricedModel
) -> None:
    price_rows.card(big, {"input": "1", "output": "2"})
    price_rows.alias(big, "big-old", valid_to=now - timedelta(days=10))
    store_events(
        organization,
        [
            Call(at=now, provider="acme", model="big-1"),
            Call(at=now, provider="ACME", model="Big-1", cost=None),
            Call(at=now - timedelta(days=20), provider="acme", model="big-old", cost=4 * USD),
            Call(at=now, provider="acme", model="big-old", cost=None),
            Call(at=now - timedelta(days=31), provider="acme", model="big-1"),
        ],
    )
    markup = page(member, "big-1")
    shown = section(markup, "use")
    assert "acme/big-old 1 $4.00 acme/big-1 1 $1.00 ACME/Big-1 1 $0.00 Total 3 $5.00" in shown
    assert 'href="/requests/?model=big-1&provider=acme">1</a>' in unescape(markup)
    assert "environment=test" in page(member, "big-1", query="?environment=test")


@pytest.mark.parametrize(("role", "offered"), [(Role.MEMBER, False), (Role.OWNER, True)])
def test_prices_are_changed_by_those_who_may(
    organization: Organization, sign_in: SignIn, big: PricedModel, role: Role, offered: bool
) -> None:
    markup = page(sign_in(organization, role), "big-1")
    for words in ("Change the price from a date", "Correct the past"):
        assert (words in markup) is offered
    assert (markup.count("?provider=acme&amp;model=big-1") == 2) is offered


@pytest.mark.parametrize(
    "key", ["publishers/a/models/b:free", "a.b@2024", "50%", "a?b=c#d", "a b", "ü", "x/", "line\nend", XSS]
)
def test_any_key_has_an_address(member: Client, key: str) -> None:
    price_rows.model(key)
    markup = member.get("/pricing/?provider=acme").content.decode()
    found = re.search(r'class="row-link" href="([^"]+)"', markup)
    assert found
    response = member.get(unescape(found[1]))
    assert response.status_code == 200
    assert "<img" not in response.content.decode()
    assert response.context["page"].key == key


def test_nothing_of_another_organization_is_shown(
    member: Client, big: PricedModel, organization: Organization, sign_in: SignIn, now: datetime
) -> None:
    foreign = OrganizationFactory()
    own = {"organization_id": foreign.pk}
    price_rows.card(big, {"input": "1", "output": "2"})
    price_rows.alias(big, "secret-name", **own)
    by = price_rows.revision(note="secret note", **own)
    price_rows.card(big, {"input": "0.777", "output": "0.777"}, by=by, **own)
    price_rows.model("secret-model", **own)
    store_events(foreign, [Call(at=now, provider="acme", model="secret-name")])
    markup = page(member, "big-1")
    assert "secret" not in markup
    assert "0.777" not in markup
    assert "0.777" in page(sign_in(foreign), "big-1")
    assert member.get("/pricing/acme/secret-model/").status_code == 404
    assert sign_in(foreign).get("/pricing/acme/secret-model/").status_code == 200
    for path in ("/pricing/acme/nothing/", "/pricing/nobody/big-1/", "/pricing/acme/"):
        assert member.get(path).status_code == 404


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (200_000, "above 200K"),
        (199_999, "from 200K"),
        (524_288, "above 524,288"),
        (0, "above 0"),
        (1_000_000, "above 1,000K"),
    ],
)
def test_thresholds_in_words(over: int, words: str) -> None:
    assert rates.threshold(over) == words


@pytest.mark.parametrize(
    ("start", "end", "zone", "words"),
    [
        (None, None, "UTC", "always"),
        (START, None, "UTC", "since 1 Mar 2026"),
        (None, START, "UTC", "until 28 Feb 2026"),
        (START, datetime(2026, 6, 1, tzinfo=UTC), "UTC", "1 Mar – 31 May 2026"),
        (START, datetime(2026, 6, 1, 8, tzinfo=UTC), "UTC", "1 Mar 2026 – 1 Jun 2026, 08:00"),
        (START, None, "America/New_York", "since 28 Feb 2026, 19:00"),
    ],
)
def test_validities_in_words(start: datetime | None, end: datetime | None, zone: str, words: str) -> None:
    assert rates.validity_words(start, end, ZoneInfo(zone)) == words


@pytest.mark.parametrize(
    ("days", "ranges", "words"),
    [
        ((1, 2, 3, 4, 5, 6, 7), (("16:30", "00:30"),), "daily 16:30–00:30 UTC"),
        ((5, 1, 2, 3, 4), (("01:00", "04:00"), ("06:00", "10:00")), "Mon–Fri 01:00–04:00, 06:00–10:00 UTC"),
        ((6, 7), (("00:00", "12:00"),), "Sat, Sun 00:00–12:00 UTC"),
        ((1, 3, 5), (("00:00", "12:00"),), "Mon, Wed, Fri 00:00–12:00 UTC"),
    ],
)
def test_weekly_windows_in_words(days: tuple[int, ...], ranges: tuple[tuple[str, str], ...], words: str) -> None:
    assert rates.window_words(WeeklyWindow("UTC", days, ranges)) == words


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({}, "standard rates"),
        ({"input": "0.500000000000"}, "standard rates, input × 0.5"),
        (dict.fromkeys(rates.METER_WORDS, "2.000000000000"), "standard × 2"),
        ({"output": "1.818181818182"}, "standard rates, output × about 1.818"),
    ],
)
def test_policies_in_words(factors: dict[str, str], words: str) -> None:
    rows = tuple((meter, 0, Decimal(factor)) for meter, factor in factors.items())
    assert rates.factor_words(TierFactors(1, rows)) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("http://a.example/", ""),
        ("javascript:alert(1)", ""),
        ("https://", ""),
        ("https://[bad", ""),
        ("genai-prices", ""),
    ],
)
def test_only_https_addresses_are_linked(url: str, href: str) -> None:
    assert rates.safe_href(url) == href
