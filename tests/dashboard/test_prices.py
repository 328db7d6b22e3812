"""The catalog's page: what has no price first, then what everything costs, and nothing of another organization."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client

from dashboard.pages import rates
from dashboard.queries import rate_cards
from events.models import Environment, Organization, RepriceJob, Role
from pricing.catalog import Catalog, epoch_ms
from pricing.costs import TIERS, Usage
from pricing.models import PricedModel
from tests.dashboard import price_rows
from tests.dashboard.conftest import SignIn, htmx
from tests.dashboard.test_overview import XSS, text_of
from tests.events_table import USD, Call, store_events
from tests.factories import OrganizationFactory


def page(client: Client, query: str = "", **headers: str) -> str:
    response = client.get(f"/pricing/{query}", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def section(markup: str, title: str) -> str:
    """The text of the section under this heading's id."""
    found = re.search(rf'<section[^>]*aria-labelledby="{title}".*?</section>', markup, re.DOTALL)
    assert found
    return text_of(found[0])


def listed(markup: str) -> list[str]:
    """Provider and key of the listed models, by their addresses, in order."""
    return [unescape(found) for found in re.findall(r'class="row-link" href="/pricing/([^"]+)/"', markup)]


def row_of(markup: str, address: str) -> str:
    found = re.search(rf'<tr>(?:(?!</tr>).)*href="/pricing/{re.escape(address)}/".*?</tr>', markup, re.DOTALL)
    assert found
    return text_of(found[0])


# Without a price


def test_every_request_has_a_price(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now)])
    assert "Every request has a price." in section(page(member), "unpriced-title")


def test_what_has_no_price_comes_first_with_why_and_how_much(
    member: Client, organization: Organization, now: datetime
) -> None:
    known = price_rows.model("big-1", names=("big-1",))
    price_rows.card(known, {"input": "1", "output": "2"})
    day = timedelta(days=1)
    store_events(
        organization,
        [
            Call(at=now - 40 * day, cost=None, provider="nowhere", model="a"),
            Call(at=now - 3 * day, cost=None, provider="nowhere", model="a"),
            Call(at=now - 3 * day, cost=None, provider="nowhere", model="a", status="ERROR"),
            Call(at=now, cost=None, provider="acme", model="other", environment=Environment.TEST),
            Call(at=now, cost=None, provider="acme", model="big-1", tier="batch"),
            Call(at=now, provider="acme", model="big-1"),
        ],
    )
    markup = page(member)
    shown = section(markup, "unpriced-title")
    assert "5 requests have no cost and are left out of every total until a price is set." in shown
    rows = [shown.index(part) for part in ("No such provider", "No price for this tier", "No price for this model")]
    assert rows[0] < min(rows[1:])
    first, last = ((now - days * day).astimezone(UTC).date() for days in (40, 3))
    href = f"/requests/?from={first}&to={last}&model=a&provider=nowhere&tier=standard&priced=no"
    assert f'href="{href}">3</a>' in unescape(markup)
    assert text_of(member.get(href).content.decode()).count("3 requests") == 1
    assert "3.6K" in shown
    assert "1.1K" in shown
    test_href = f"/requests/?environment=test&from={now:%Y-%m-%d}&to={now:%Y-%m-%d}&model=other"
    assert test_href in unescape(markup)
    assert re.search(r"other\s+test\s+acme", shown)
    assert 'href="/pricing/acme/big-1/"' in markup


def test_a_single_request_is_said_as_one(member: Client, organization: Organization, now: datetime) -> None:
    store_events(organization, [Call(at=now, cost=None, provider="nowhere")])
    assert "1 request has no cost and is left out" in section(page(member), "unpriced-title")


@pytest.mark.parametrize(
    ("valid_from_days_ago", "rates", "job", "why"),
    [
        (400, {"input": "1"}, False, "The price has no rate for some of their tokens"),
        (400, {"input": "1", "output": "2"}, True, "A price is known; re-pricing is under way"),
        (2, {"input": "1", "output": "2"}, False, "The price does not reach back to these calls"),
        (0, {"input": "1", "output": "2"}, False, "The price does not reach back to these calls"),
        (0, {"input": "1", "output": "2"}, True, "The price does not reach back to these calls"),
    ],
)
def test_what_got_a_price_since_says_so(
    member: Client,
    organization: Organization,
    now: datetime,
    valid_from_days_ago: int,
    rates: dict[str | tuple[str, int], str],
    job: bool,
    why: str,
) -> None:
    start = now - timedelta(days=valid_from_days_ago)
    price_rows.card(price_rows.model("big-1", names=("big-1",)), rates, valid_from=start)
    store_events(
        organization,
        [Call(at=now - timedelta(days=days), cost=None, provider="acme", model="big-1") for days in (5, 1)],
    )
    if job:
        RepriceJob.objects.create(to_revision=price_rows.revision().pk, created_at=now, total=2)
    assert why in section(page(member), "unpriced-title")


def test_requests_that_were_priced_since_are_not_listed(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(organization, [Call(at=now, cost=None, provider="nowhere", model="a")])
    assert "nowhere" in page(member)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO usage_delta SELECT organization_id, environment, hour, day, tracked_user_id, feature, step,
provider, model, status, service_tier, NULL, 0, 0, -1, 0, 0, 0, 0, 0, 5 FROM usage_delta"""
        )
    assert "Every request has a price." in section(page(member), "unpriced-title")


@pytest.mark.parametrize(("role", "offered"), [(Role.MEMBER, False), (Role.VIEWER, False), (Role.ADMIN, True)])
def test_a_price_is_set_by_those_who_may(
    organization: Organization, sign_in: SignIn, now: datetime, role: Role, offered: bool
) -> None:
    store_events(organization, [Call(at=now, cost=None, provider="no where", model="a&b", tier="flex")])
    markup = page(sign_in(organization, role))
    assert ("Set a price" in text_of(markup)) is offered
    assert ("?provider=no+where&model=a%26b&tier=flex" in unescape(markup)) is offered


def test_names_are_text(member: Client, organization: Organization, now: datetime) -> None:
    price_rows.card(price_rows.model(XSS, names=(XSS,)), {"input": "1", "output": "2"})
    store_events(
        organization,
        [Call(at=now, cost=None, provider=XSS, model=XSS), Call(at=now, provider="acme", model=XSS)],
    )
    for query in ("", "?q=<img", "?used=yes", f"?provider={XSS}"):
        markup = page(member, query)
        assert "<img" not in markup
    assert "&lt;img src=x onerror=alert(1)&gt;" in page(member, "?used=yes")


# The catalog


def test_models_in_use_come_first_and_lead_to_their_requests(
    member: Client, organization: Organization, now: datetime
) -> None:
    store_events(
        organization,
        [
            Call(at=now, cost=2 * USD, model="gpt-4o-mini"),
            Call(at=now, cost=3 * USD, model="gpt-4o"),
            Call(at=now, cost=4 * USD, model="gpt-4o-2024-08-06", provider="azure"),
            Call(at=now - timedelta(days=50), cost=900 * USD, model="o3"),
            Call(at=now, cost=80 * USD, model="gpt-4.1", environment=Environment.TEST),
        ],
    )
    markup = page(member)
    assert listed(markup)[:2] == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    assert "$7.00 2 requests" in row_of(markup, "openai/gpt-4o")
    assert 'href="/pricing/openai/gpt-4o/#use">2 requests</a>' in markup
    assert 'href="/requests/?model=gpt-4o-mini&amp;provider=openai">1 request</a>' in markup
    assert listed(page(member, "?used=yes")) == ["openai/gpt-4o", "openai/gpt-4o-mini"]
    test = page(member, "?environment=test&used=yes")
    assert listed(test) == ["openai/gpt-4.1"]
    assert 'href="/requests/?environment=test&amp;model=gpt-4.1' in test
    rest = listed(markup)[2:]
    assert len(rest) == 48
    assert [name.split("/")[0] for name in rest] == sorted(name.split("/")[0] for name in rest)


def test_a_row_says_what_a_million_tokens_cost(member: Client) -> None:
    big = price_rows.model("big-1", names=("big-1",))
    listed_rates: dict[str | tuple[str, int], str] = {
        "input": "2.50",
        ("input", 200_000): "5",
        ("input", 399_999): "7.125",
        "cache_read": "0",
        "cache_write_5m": "3.125",
        "cache_write_1h": "4",
        "output": "10",
    }
    start = datetime(2026, 3, 1, tzinfo=UTC)
    price_rows.card(big, listed_rates, valid_from=start, layer=20, source_url="https://www.big.example/prices")
    price_rows.card(big, {"input": "1"}, valid_from=start, valid_to=start + timedelta(days=1), layer=30)
    price_rows.policy(big, "batch", {"input": "0.5", "output": "0.5"})
    price_rows.card(big, {"input": "9", "output": "9"}, tier="priority")
    shown = row_of(page(member, "?q=big-1"), "acme/big-1")
    for part in (
        "big-1 Acme batch priority",
        "$2.50 above 200K $5.00 from 400K $7.125",
        "free",
        "$3.125 for 1 h $4.00",
        "$10.00",
        "correction big.example since 1 Mar 2026",
    ):
        assert part in shown
    assert "flex" not in shown
    assert "request" not in shown


def test_what_is_special_about_a_model_is_marked(member: Client, organization: Organization) -> None:
    price_rows.model("nothing", names=("nothing",))
    gone = price_rows.model("gone", dropped_revision=price_rows.revision("import"))
    price_rows.card(gone, {"input": "1", "output": "2"}, layer=10, source_url="http://plain.example/")
    own = price_rows.model("own", organization_id=organization.pk)
    price_rows.card(own, {"input": "1", "output": "2"}, organization_id=organization.pk)
    peak = price_rows.model("peak")
    window = {"tz": "UTC", "days": [1, 2, 3, 4, 5], "ranges": [["01:00", "04:00"]]}
    price_rows.card(peak, {"input": "8", "output": "8"}, weekly_window=window)
    price_rows.card(peak, {"input": "4", "output": "4"})
    markup = page(member, "?provider=acme")
    assert "4 models found" in text_of(markup)
    for key, marks in {
        "nothing": "nothing Acme no price",
        "gone": "gone no longer listed Acme",
        "own": "own your own Acme",
        "peak": "peak varies by hour Acme $4.00",
    }.items():
        assert marks in row_of(markup, f"acme/{key}")
    assert "your own price prices.example" in row_of(markup, "acme/own")
    assert "plain.example" not in markup
    assert markup.count('rel="noreferrer"') == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=hugging", "huggingface_"),
        ("q=openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("q=GPT-4o-2024-08-06", "openai/gpt-4o"),
        ("q=models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("q=anthropic&provider=aws", "aws/anthropic.claude-"),
    ],
)
def test_search_finds_models_by_their_names_and_by_names_as_sent(member: Client, query: str, found: str) -> None:
    names = listed(page(member, f"?{query}"))
    assert any(name.startswith(found) for name in names)


@pytest.mark.parametrize("query", ["?q=gpt%25o", "?q=no-such-model", "?provider=nobody", "?used=yes"])
def test_search_that_finds_nothing_says_so(member: Client, query: str) -> None:
    shown = text_of(page(member, query))
    assert "No model found" in shown
    assert "Show all models" in shown


def test_the_catalog_goes_on_in_pages_of_fifty(member: Client) -> None:
    found: list[str] = []
    href = "/pricing/?provider=openai"
    while href:
        markup = member.get(href, headers=htmx() if found else {}).content.decode()
        assert ("<html" in markup) is not bool(found)
        assert ("Every request has a price" in markup) is not bool(found)
        found += listed(markup)
        more = re.search(r'href="([^"]*after=[^"]*)"', markup)
        href = unescape(more[1]) if more else ""
    expected = PricedModel.objects.filter(provider_id="openai").count()
    assert len(found) == len(set(found)) == expected > 100


def test_a_search_swap_is_a_fragment_under_the_canonical_address(member: Client) -> None:
    response = member.get("/pricing/?q=&provider=openai&used=", headers=htmx("results"))
    markup = response.content.decode()
    assert response["HX-Push-Url"] == "/pricing/?provider=openai"
    assert 'id="results"' in markup
    assert 'id="unpriced-title"' not in markup
    assert "<html" not in markup


def test_the_rates_are_those_that_calls_get(catalog: Catalog, organization: Organization, now: datetime) -> None:
    """Every tier of a sample of the catalog, against what resolving the model's own name says."""
    sample = list(PricedModel.objects.filter(provider_id__in=["openai", "anthropic", "google", "deepseek", "x-ai"]))
    ids = [model.pk for model in sample]
    cards = rate_cards.cards_at(organization.pk, ids, now)
    policies = rate_cards.policies_at(ids, {model.provider_id for model in sample}, now)
    compared = 0
    for model in sample:
        own = [card for card in cards if card.model_id == model.pk]
        held = rates.Held(model.pk, model.provider_id, model.key, own, policies)
        for tier in TIERS:
            for region in ("global", "us"):
                key = (model.provider_id, model.key, tier, region, organization.pk)
                choices = catalog.choices(key, epoch_ms(now))
                if (choices[0][1].model_provider, choices[0][1].model) != (model.provider_id, model.key):
                    continue
                wanted = [(window, found.card) for window, found in choices if found.card]
                assert [(one.window, one.rates) for one in held.standing(tier, region)] == wanted, key
                compared += len(wanted)
    assert compared > 500


# Whose it is


@pytest.fixture
def foreign() -> Organization:
    """Another organization with prices, names and a model of its own."""
    made: Organization = OrganizationFactory(name="Initech")
    shared = PricedModel.objects.get(provider_id="openai", key="gpt-4o")
    price_rows.alias(shared, "initech-alias", organization_id=made.pk)
    price_rows.card(shared, {"input": "0.777", "output": "0.777"}, organization_id=made.pk)
    own = price_rows.model("initech-secret", "initech-cloud", names=("initech-name",), organization_id=made.pk)
    price_rows.card(own, {"input": "0.777", "output": "0.777"}, organization_id=made.pk)
    return made


def test_nothing_of_another_organization_appears(
    member: Client, foreign: Organization, sign_in: SignIn, organization: Organization, now: datetime
) -> None:
    store_events(foreign, [Call(at=now, cost=None, provider="initech", model="initech-unpriced")])
    RepriceJob.objects.create(
        to_revision=price_rows.revision(organization_id=foreign.pk).pk, created_at=now, total=5, done=1
    )
    for query in ("", "?q=initech", "?q=gpt-4o", "?q=initech-alias", "?q=initech-name", "?provider=initech-cloud"):
        markup = page(member, query)
        found = markup.replace('value="initech', "").replace("q=initech", "").replace("provider=initech", "")
        assert "initech" not in found.lower(), query
        assert "0.777" not in markup
        assert "Re-pricing" not in markup
    assert listed(page(member, "?q=initech-alias")) == []
    theirs = sign_in(foreign)
    assert listed(page(theirs, "?q=initech-alias")) == ["openai/gpt-4o"]
    assert listed(page(theirs, "?q=initech-name")) == ["initech-cloud/initech-secret"]
    assert "$0.777" in row_of(page(theirs, "?q=initech-alias"), "openai/gpt-4o")
    assert "Re-pricing 1 of 5 requests" in page(theirs)


def test_use_of_an_own_model_is_its_own(member: Client, organization: Organization, now: datetime) -> None:
    own = price_rows.model("gpt-4o", "openai", names=("gpt-4o",), organization_id=organization.pk)
    price_rows.card(own, {"input": "1", "output": "1"}, organization_id=organization.pk)
    store_events(organization, [Call(at=now, model="gpt-4o"), Call(at=now, cost=2 * USD, model="gpt-4o-2024-08-06")])
    markup = page(member, "?used=yes")
    assert listed(markup) == ["openai/gpt-4o", "openai/gpt-4o"]
    assert text_of(markup).index("$2.00 1 request") < text_of(markup).index("your own OpenAI")


# Re-pricing


def test_a_re_pricing_at_work_is_watched_until_it_ends(member: Client, now: datetime) -> None:
    assert "Re-pricing" not in page(member)
    revision = price_rows.revision()
    job = RepriceJob.objects.create(to_revision=revision.pk, created_at=now, total=260_000, done=12_400)
    RepriceJob.objects.create(to_revision=revision.pk, created_at=now, total=0)
    markup = page(member)
    assert f"Re-pricing 12,400 of 260,000 requests for revision {revision.pk}" in text_of(markup)
    assert '<progress class="progress" aria-labelledby="repricing-text" value="12400" max="260000">' in markup
    poll = re.search(r'id="repricing"[^>]* hx-get="([^"]+)"', markup)
    assert poll
    href = unescape(poll[1])
    assert member.get(href, headers=htmx("repricing")).status_code == 204
    RepriceJob.objects.filter(pk=job.pk).update(done=20_000)
    moved = member.get(href, headers=htmx("repricing")).content.decode()
    assert "Re-pricing 20,000 of" in moved
    assert "<html" not in moved
    assert "hx-get" in moved
    RepriceJob.objects.filter(pk=job.pk).update(finished_at=now)
    ended = member.get(href, headers=htmx("repricing")).content.decode()
    assert "Re-pricing is done." in ended
    assert "hx-get" not in ended


def test_the_cost_of_a_call_is_what_its_page_says(catalog: Catalog, member: Client, now: datetime) -> None:
    cost = catalog.price("openai", "gpt-4o", epoch_ms(now), Usage(1_000_000, 0))
    assert cost.picousd is not None
    assert f"${cost.picousd // USD}.50" in row_of(page(member, "?q=openai/gpt-4o"), "openai/gpt-4o")
