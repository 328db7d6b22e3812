"""`POST /api/v1/price`: what is asked and answered as tables, then the endpoint against a real database."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import price
from events.models import Event, Organization, RejectedCall, Scope
from events.price_sources import PriceSources, Sources
from events.schema import InvalidEvent, MalformedBody, TooManyEvents
from events.wire import FieldError
from pricing import provider_usage
from pricing.catalog import Catalog
from pricing.costs import RateCard
from pricing.index import SINCE_EVER, UNTIL_FURTHER_NOTICE, CardEntry, Validity
from pricing.models import RateCard as RateCardRow
from pricing.models import TierPolicy
from tests.native_client import NativeClient, make_key

NOW_MS = 1_777_975_200_000  # 2026-05-05T10:00:00Z
PATH = "/api/v1/price"
API_PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "api.md"
CACHED = {"inputTokens": 1200, "outputTokens": 350, "cachedTokens": 1000}
MILLION = {"inputTokens": 1_000_000, "outputTokens": 1_000_000}
ANTHROPIC = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 556,
    "cache_read_input_tokens": 18_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100},
    "output_tokens": 393,
}

Item = dict[str, Any]


def call(usage: Any = CACHED, **parts: Any) -> Item:
    """One item: gpt-4o, 1,200 input of which 1,000 cached, 350 output; costs 0.00525 USD."""
    return {"provider": "openai", "model": "gpt-4o", "usage": usage} | parts


def parse(items: Any) -> list[price.Question]:
    errors: list[FieldError] = []
    bodies = price.split_items(json.dumps({"items": items}).encode())
    questions = price.parse_items(bodies, 0, NOW_MS, provider_usage.read, errors)
    if errors:
        raise InvalidEvent(errors)
    return questions


def wrong(items: Any) -> dict[str, str]:
    with pytest.raises(InvalidEvent) as caught:
        parse(items)
    return {error.field: error.message for error in caught.value.errors}


def priced(catalog: Catalog, item: Item) -> dict[str, Any]:
    answers = [price.answer(question, catalog, 1) for question in parse([item])]
    answer: dict[str, Any] = price.answer_body(answers, Sources({}, {}), catalog.revision)["items"][0]
    return answer


def test_a_question_is_read_whole() -> None:
    question = parse([call(timestamp="2026-05-05T15:30:00+05:30", region=" EU ")])[0]
    assert question[:5] == ("openai", "gpt-4o", NOW_MS, "standard", "eu")
    assert question.usage
    assert (question.usage.input_tokens, question.usage.cached_tokens, question.flags) == (1200, 1000, ())


COUNTER = "is required: an integer, 0 or more"
TIME = "must be an ISO 8601 time, for example 2026-05-05T10:00:00Z"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("text", {"": "must be an object, got a string"}),
        ([], {"": "must be an object, got a list"}),
        (None, {"": "must be an object, got null"}),
        ({}, {".usage": "is required"}),
        (call(usage=None), {".usage": "must be an object, got null"}),
        (call(usage=[]), {".usage": "must be an object, got a list"}),
        (call({"inputTokens": "12", "outputTokens": 1}), {".usage.inputTokens": "must be an integer, got a string"}),
        (call({"inputTokens": 5}), {".usage.outputTokens": COUNTER}),
        (call({"cachedTokens": 5}), {".usage.inputTokens": COUNTER, ".usage.outputTokens": COUNTER}),
        (
            call({"cachedTokens": "5"}),
            {
                ".usage.cachedTokens": "must be an integer, got a string",
                ".usage.inputTokens": COUNTER,
                ".usage.outputTokens": COUNTER,
            },
        ),
        (call({"inputTokens": -1, "outputTokens": 1}), {".usage.inputTokens": "must be 0 or more"}),
        (
            call(CACHED | {"serviceTier": "auto"}),
            {".usage.serviceTier": "must be the tier that served the call: default, standard, batch, flex, priority"},
        ),
        (call(provider=5), {".provider": "must be a string, got an integer"}),
        (call(model=["gpt-4o"]), {".model": "must be a string, got a list"}),
        (call(region={}), {".region": "must be a string, got an object"}),
        (call(timestamp="yesterday"), {".timestamp": TIME}),
        (call(timestamp=""), {".timestamp": TIME}),
        (call(timestamp="2026-02-30T10:00:00Z"), {".timestamp": TIME}),
        (call(timestamp=1_700_000_000), {".timestamp": "must be a string, got an integer"}),
        (call(CACHED | {"model": "gpt-5"}), {".usage.model": "is not the model of the item; send one of them"}),
        (
            call(CACHED | {"provider": "azure"}),
            {".usage.provider": "is not the provider of the item; send one of them"},
        ),
        (call({"providerUsage": 5}), {".usage.providerUsage": "must be an object, got an integer"}),
        (
            call({"providerUsage": {"prompt_tokens": 9, "completion_tokens": 1}, "inputTokens": 8}),
            {".usage.inputTokens": "is 8, but providerUsage says 9; send one of them"},
        ),
        (
            call({"providerUsage": {"prompt_tokens": 9, "completion_tokens": 1}, "apiFlavor": "x"}, provider=None),
            {".usage.providerUsage": "needs usage.provider beside it, to know how to read it"},
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_place_in_the_list(item: Any, expected: dict[str, str]) -> None:
    assert wrong([call(), item]) == {f"items[1]{field}": message for field, message in expected.items()}


def test_all_wrong_fields_of_all_items_are_named_at_once() -> None:
    bad = call({"inputTokens": "1", "outputTokens": 1, "serviceTier": "auto"}, provider=5, timestamp="never")
    fields = {".usage.inputTokens", ".usage.serviceTier", ".provider", ".timestamp"}
    assert set(wrong([bad, call(), bad])) == {f"items[{place}]{field}" for place in (0, 2) for field in fields}


def test_many_errors_make_a_short_sentence_and_a_whole_list() -> None:
    with pytest.raises(InvalidEvent, match=r"items\[0\].usage: is required; .*; and 480 more$") as caught:
        parse([{}] * 500)
    assert len(caught.value.errors) == 500


@pytest.mark.parametrize(
    ("raw", "field", "message"),
    [
        (b"[]", "", "the body must be an object with a list `items`"),
        (b"{}", "items", "is required: a list of items"),
        (b'{"items": {}}', "items", "must be a list of items"),
        (b'{"items": []}', "items", "must hold 1 to 1000 calls"),
    ],
)
def test_a_body_without_items_is_refused(raw: bytes, field: str, message: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        price.split_items(raw)
    assert [(error.field, error.message) for error in caught.value.errors] == [(field, message)]


def test_a_list_has_a_thousand_items_at_most() -> None:
    def listed(count: int) -> bytes:
        return json.dumps({"items": [1] * count}).encode()

    assert len(price.split_items(listed(1000))) == 1000
    with pytest.raises(TooManyEvents):
        price.split_items(listed(1001))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_no_json_value_brings_anything_but_a_question_or_field_errors(value: Any) -> None:
    usage = {"providerUsage": value, "provider": "google"}
    for item in (value, {"usage": value}, call(usage, provider=value), call(region=value, timestamp=value)):
        errors: list[FieldError] = []
        raw = json.dumps(item).encode()
        questions = price.parse_items([raw], 0, NOW_MS, provider_usage.read, errors)
        assert bool(questions) is not bool(errors)


@given(st.binary(max_size=200))
def test_no_bytes_bring_anything_but_the_two_errors(raw: bytes) -> None:
    with pytest.raises((InvalidEvent, MalformedBody)):
        price.split_items(raw)


@pytest.mark.parametrize(
    ("item", "cost", "status", "missing"),
    [
        (call(), "0.005250000000", "priced", None),
        (call({"inputTokens": 0, "outputTokens": 0}), "0.000000000000", "priced", None),
        (call(MILLION), "12.500000000000", "priced", None),
        (call(CACHED | {"serviceTier": "batch"}), "0.003250000000", "priced", None),
        (call(provider="perplexity", model="sonar"), "0.001550000000", "partial", "charges for other things than"),
        (
            call(CACHED | {"cacheWriteTokens": 9, "cacheWrite1hTokens": 9}, model="gpt-5.6-sol"),
            "0.008209000000",
            "partial",
            "has no rate for one-hour cache writes",
        ),
        (call(provider="nobody"), None, "unpriced_provider", "no provider is known as 'nobody'"),
        (call(provider="", model="anything"), None, "unpriced_provider", "no provider was named"),
        (call(model="gpt-99"), None, "unpriced_model", "openai has no model 'gpt-99' at that time"),
        (call(model=None), None, "unpriced_model", "no model was named"),
        (
            call(model="text-embedding-3-small"),
            None,
            "unpriced_model",
            "openai/text-embedding-3-small has no rate for output at that time",
        ),
        (call(CACHED | {"serviceTier": "flex"}), None, "unpriced_tier", "openai/gpt-4o has no price for the tier flex"),
        (call({}), None, "no_usage", "no counters: send inputTokens and outputTokens, or providerUsage"),
        (call({"cachedTokens": None, "latencyInMs": 3}), None, "no_usage", "no counters"),
        (call({}, provider="nobody"), None, "no_usage", "no counters"),
    ],
)
def test_every_status_with_what_is_missing(
    catalog: Catalog, item: Item, cost: str | None, status: str, missing: str | None
) -> None:
    answer = priced(catalog, item | {"timestamp": "2026-11-05T10:00:00Z"})
    assert (answer["cost"], answer["status"]) == (cost, status)
    assert (answer["missing"] is None) is (missing is None)
    assert (missing or "") in (answer["missing"] or "")
    assert bool(answer["lines"]) is (cost is not None and Decimal(cost) > 0)


@pytest.mark.parametrize(
    ("timestamp", "cost"),
    [
        # o3 became five times cheaper on 2025-06-10
        ("2025-06-09T23:59:59.999Z", "50"),
        ("2025-06-10T00:00:00Z", "10"),
        ("2025-06-10T05:29:59.999+05:30", "50"),
        ("2025-06-10T05:30:00+05:30", "10"),
        ("2025-06-09T23:59:59", "50"),
        ("2025-06-10", "10"),
        ("2030-01-01T00:00:00Z", "10"),
        (None, "10"),
    ],
)
def test_any_time_may_be_asked_for(catalog: Catalog, timestamp: str | None, cost: str) -> None:
    assert Decimal(priced(catalog, call(MILLION, model="o3", timestamp=timestamp))["cost"]) == Decimal(cost)


@pytest.mark.parametrize(
    "timestamp",
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-12:00"],
)
@pytest.mark.parametrize("model", ["deepseek-v4-pro", "deepseek-reasoner"])
def test_the_edges_of_the_calendar_are_times_too(catalog: Catalog, model: str, timestamp: str) -> None:
    assert priced(catalog, call(provider="deepseek", model=model, timestamp=timestamp))["revision"] == catalog.revision


def test_the_answer_says_how_the_price_was_found(catalog: Catalog) -> None:
    usage = {"inputTokens": 10, "outputTokens": 5, "cachedTokens": 100, "reasoningTokens": 2}
    answer = priced(catalog, call(usage, provider=" Claude ", model="claude-sonnet-4-5-20250929"))
    assert answer["model"] == "anthropic/claude-sonnet-4-5"
    assert (answer["match_kind"], answer["rate_from"], answer["tier"], answer["region"]) == (
        "prefix",
        "card",
        "standard",
        "global",
    )
    assert answer["flags"] == ("input_tokens_exclusive",)
    rates = {line["meter"]: (line["tokens"], line["usd_per_mtok"], line["rate_from"]) for line in answer["lines"]}
    assert rates == {
        "input": (10, "3.000000", "exact"),
        "cache_read": (100, "0.300000", "exact"),
        "output": (3, "15.000000", "exact"),
        "reasoning": (2, "15.000000", "fallback"),
    }
    assert sum(Decimal(line["cost"]) for line in answer["lines"]) == Decimal(answer["cost"])
    assert priced(catalog, call(CACHED | {"serviceTier": "batch"}, provider=None))["match_kind"] == "inferred_provider"


def test_amounts_are_exact_however_large(catalog: Catalog) -> None:
    most = 2**53 - 1
    answer = priced(catalog, call({"inputTokens": most, "outputTokens": most, "cachedTokens": 1}))
    assert answer["cost"] == f"{((most - 1) * 2_500_000 + 1_250_000 + most * 10_000_000) / Decimal(10**12):.12f}"
    assert all(re.fullmatch(r"\d+\.\d{12}", line["cost"]) for line in answer["lines"])


@pytest.mark.parametrize(
    ("region", "usage", "asked"),
    [
        (None, {"inference_geo": "us"}, "us"),
        ("", {"inference_geo": "us"}, "us"),
        ("global", {"inference_geo": "us"}, "global"),
        ("us", {}, "us"),
        (None, {}, "global"),
    ],
)
def test_the_region_is_the_item_s_or_what_the_provider_s_usage_says(
    region: str | None, usage: Item, asked: str
) -> None:
    usage = {"providerUsage": ANTHROPIC | usage}
    question = parse([call(usage, provider="anthropic", model="claude-opus-4-6", region=region)])[0]
    assert question.region == asked


def test_the_region_and_the_organization_reach_the_catalog(catalog: Catalog) -> None:
    own = with_cards(catalog, card(1, region="us"), card(3, organization_id=7))
    questions = parse([call(MILLION, region="us"), call(MILLION)])
    costs = [[price.answer(question, own, who).cost for question in questions] for who in (7, 8)]
    assert [[cost and cost.picousd for cost in row] for row in costs] == [
        [2 * 10**12, 6 * 10**12],
        [2 * 10**12, 12_500_000_000_000],
    ]


def card(usd_per_mtok: int, *, region: str = "global", organization_id: int | None = None) -> CardEntry:
    picousd = usd_per_mtok * 1_000_000
    rates = RateCard.of(usd_per_mtok, [("input", 0, picousd), ("output", 0, picousd)])
    always = Validity(SINCE_EVER, UNTIL_FURTHER_NOTICE)
    return CardEntry(rates, "standard", region, organization_id, 30, None, 1, always)


def with_cards(catalog: Catalog, *cards: CardEntry) -> Catalog:
    """The catalog with more cards for gpt-4o."""
    rows = catalog._rows
    model = next(model for model in rows.models.values() if (model.provider, model.key) == ("openai", "gpt-4o"))
    models = {**rows.models, model.model_id: replace(model, cards=(*model.cards, *cards))}
    return Catalog(catalog.revision, replace(rows, models=models))


def test_the_answer_of_the_contract(ingest: NativeClient, catalog: Catalog) -> None:
    response = ingest.post(PATH, {"items": [call(timestamp="2026-05-05T10:00:00Z")]})
    assert response.status == 200
    source = RateCardRow.objects.get(model__provider="openai", model__key="gpt-4o", tier="standard", valid_to=None)

    def line(meter: str, tokens: int, usd_per_mtok: str, cost: str) -> Item:
        amounts = {"meter": meter, "tokens": tokens, "usd_per_mtok": usd_per_mtok, "cost": cost}
        return amounts | {"source": source.source_url, "rate_from": "exact"}

    assert response.body == {
        "items": [
            {
                "cost": "0.005250000000",
                "status": "priced",
                "lines": [
                    line("input", 200, "2.500000", "0.000500000000"),
                    line("cache_read", 1000, "1.250000", "0.001250000000"),
                    line("output", 350, "10.000000", "0.003500000000"),
                ],
                "revision": catalog.revision,
                "model": "openai/gpt-4o",
                "match_kind": "exact",
                "tier": "standard",
                "region": "global",
                "rate_from": "card",
                "policy_source": None,
                "flags": [],
                "missing": None,
            }
        ]
    }
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "usage",
    [
        CACHED | {"provider": "openai", "model": "gpt-4o"},
        CACHED | {"provider": "openai", "model": "gpt-4o", "serviceTier": "batch"},
        CACHED | {"provider": "openai", "model": "gpt-4o", "serviceTier": "flex"},
        {"provider": "anthropic", "model": "claude-sonnet-4-5", "providerUsage": ANTHROPIC, "apiFlavor": "messages"},
        {"provider": "anthropic", "model": "claude-opus-4-6", "providerUsage": ANTHROPIC | {"inference_geo": "us"}},
        {"provider": "xai", "model": "grok-4", "inputTokens": 10, "outputTokens": 5, "reasoningTokens": 70},
        MILLION | {"model": "openai/gpt-5"},
        MILLION | {"provider": "nobody", "model": "m" * 300},
    ],
)
def test_a_call_is_priced_as_its_event_would_be(ingest: NativeClient, usage: Item) -> None:
    event = ingest.post("/api/events", {"usage": usage})
    answer = ingest.post(PATH, {"items": [{"usage": usage}]})
    assert (event.status, answer.status) == (200, 200)
    stored = Event.objects.get()
    cost = answer.body["items"][0]["cost"]
    assert cost == (None if stored.cost_picousd is None else f"{stored.cost_picousd / Decimal(10**12):.12f}")
    assert answer.body["items"][0]["status"] == stored.price_status


def test_answers_come_in_order(ingest: NativeClient) -> None:
    items = [call({"inputTokens": 400_000 * number, "outputTokens": 0}) for number in range(1000)]
    response = ingest.post(PATH, {"items": items}, compress=True)
    assert [item["cost"] for item in response.body["items"]] == [f"{number}.000000000000" for number in range(1000)]


def test_an_unknown_item_does_not_spoil_the_others(ingest: NativeClient) -> None:
    response = ingest.post(PATH, {"items": [call(model="gpt-99"), call(), call({})]})
    assert response.status == 200
    assert [item["status"] for item in response.body["items"]] == ["unpriced_model", "priced", "no_usage"]


def test_wrong_fields_are_answered_with_the_contract_s_error_and_not_listed_as_events(ingest: NativeClient) -> None:
    response = ingest.post(PATH, {"items": [call(), call({"inputTokens": "x", "outputTokens": 1})]})
    assert response.status == 422
    assert response.field_errors == {"items[1].usage.inputTokens": "must be an integer, got a string"}
    error = response.body["error"]
    assert (error["type"], error["message"]) == (
        "invalid_request",
        "items[1].usage.inputTokens: must be an integer, got a string",
    )
    ingest.flush_rejections()
    assert not RejectedCall.objects.exists()


@pytest.mark.parametrize(
    ("scopes", "status"), [([Scope.READ], 200), ([Scope.EVENTS_WRITE], 200), ([Scope.USAGE_WRITE], 403), ([], 403)]
)
def test_reading_and_writing_keys_may_ask(ingest: NativeClient, scopes: list[str], status: int) -> None:
    key = make_key(ingest.organization, scopes=scopes)
    response = ingest.post(PATH, {"items": [call()]}, key=key)
    assert response.status == status
    if status == 403:
        assert response.body["error"]["message"] == "this API key lacks the scope read or events:write"


def test_a_revoked_key_is_refused_here_too(ingest: NativeClient) -> None:
    key = make_key(ingest.organization, revoked_at=datetime.now(UTC))
    assert ingest.post(PATH, {"items": [call()]}, key=key).status == 401


def test_an_organization_s_own_prices_are_for_its_keys_alone(ingest: NativeClient, catalog: Catalog) -> None:
    other = make_key(Organization.objects.create(name="Other", slug="other"), scopes=[Scope.READ])
    ingest.runtime.catalog = with_cards(catalog, card(1, organization_id=ingest.organization.id))
    costs = [ingest.post(PATH, {"items": [call(MILLION)]}, key=key).body["items"][0]["cost"] for key in (None, other)]
    assert costs == ["2.000000000000", "12.500000000000"]


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"nonsense", {}, 400, "not valid JSON"),
        (b'{"items": [{"usage": ', {}, 400, "not valid JSON"),
        (b'{"items": [{"usage": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]}", {}, 400, "nested too deep"),
        (b"\xff", {}, 400, "not UTF-8"),
        ({"items": [1] * 1001}, {}, 413, "at most 1000 items"),
        ({"items": ["x" * 5 * 1024 * 1024]}, {}, 413, "larger than 5 MiB"),
        ({"items": []}, {}, 422, "items: must hold 1 to 1000 calls"),
        ({"items": [call()]}, {"content-type": "application/x-ndjson"}, 415, "Content-Type must be application/json"),
        ({"items": [call()]}, {"authorization": ""}, 401, "no API key"),
    ],
)
def test_refusals(ingest: NativeClient, body: Any, headers: dict[str, str], status: int, message: str) -> None:
    response = ingest.post(PATH, body, headers=headers)
    assert response.status == status
    assert message in response.body["error"]["message"]


def test_other_methods_are_refused(ingest: NativeClient) -> None:
    response = ingest.post(PATH, {}, method="GET")
    assert (response.status, response.headers["allow"]) == (405, "POST")


@pytest.fixture
def sources(ingest: NativeClient) -> tuple[PriceSources, list[int]]:
    """The sources of the ingest's database, and a list that grows with every connection that is taken for them."""
    taken: list[int] = []
    connect = ingest.runtime.connection

    def counted() -> Any:
        taken.append(1)
        return connect()

    return PriceSources(counted), taken


def test_sources_are_read_once_for_cards_and_policies_together(
    ingest: NativeClient, sources: tuple[PriceSources, list[int]]
) -> None:
    found, taken = sources
    cards = dict(RateCardRow.objects.values_list("pk", "source_url")[:5])
    policies = dict(TierPolicy.objects.values_list("pk", "source_url")[:2])
    for _ in range(2):
        answer = ingest.runner.run(found.find(set(cards), set(policies)))
        assert (answer.cards, answer.policies) == (cards, policies)
    assert len(taken) == 1
    assert ingest.runner.run(found.find(set(), set())).cards == cards
    assert len(taken) == 1


def test_a_derived_tier_names_both_of_its_sources(ingest: NativeClient) -> None:
    item = call(CACHED | {"serviceTier": "batch"}, timestamp="2026-05-05T10:00:00Z")
    batch = ingest.post(PATH, {"items": [item]}).body["items"][0]
    assert batch["rate_from"] == "policy"
    assert batch["policy_source"] in TierPolicy.objects.values_list("source_url", flat=True)
    assert {line["source"] for line in batch["lines"]} <= set(
        RateCardRow.objects.filter(model__key="gpt-4o").values_list("source_url", flat=True)
    )


def test_without_the_database_it_says_when_to_ask_again(ingest: NativeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest.post(PATH, {"items": [call()]})

    def away() -> Callable[[], Any]:
        raise psycopg.OperationalError("gone")

    handlers = ingest.app.routes[PATH].handle.__self__  # type: ignore[attr-defined]
    monkeypatch.setattr(handlers._price_sources, "connect", away)
    assert ingest.post(PATH, {"items": [call()]}).status == 200
    response = ingest.post(PATH, {"items": [call(model="gpt-5")]})
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    ingest.runtime.catalog = None
    assert ingest.post(PATH, {"items": [call()]}).status == 503


def test_the_documented_call_gets_the_documented_answer(ingest: NativeClient) -> None:
    page = API_PAGE.read_text()
    section = page[page.index(f"## POST {PATH}") :]
    question = re.search(r"-d '(\{.*?\})'", section, re.DOTALL)
    answer = re.search(r"```json\n(\{\"items\".*?)```", section, re.DOTALL)
    assert question
    assert answer
    response = ingest.post(PATH, question[1].encode())
    # The revision counts the imports of this very database.
    expected, got = json.loads(answer[1])["items"], response.body["items"]
    assert [item | {"revision": 0} for item in got] == [item | {"revision": 0} for item in expected]


def test_the_api_page_lists_every_status_and_every_key_of_an_answer(catalog: Catalog) -> None:
    page = API_PAGE.read_text()
    section = page[page.index(f"## POST {PATH}") : page.index("## Errors")]
    documented = set(re.findall(r"`(\w+)`", section))
    assert {"priced", "partial", "unpriced_provider", "unpriced_model", "unpriced_tier", "no_usage"} <= documented
    answer = priced(catalog, call())
    assert answer.keys() | answer["lines"][0].keys() <= documented | {"meter", "tokens", "usd_per_mtok", "source"}


def test_the_documented_usage_of_a_provider_is_counted_as_the_page_says() -> None:
    example = re.search(
        r'```json\n(\{\n  "usage": \{\n    "provider": "anthropic".*?)```', API_PAGE.read_text(), re.DOTALL
    )
    assert example
    usage = parse([json.loads(example[1])])[0].usage
    assert usage
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens) == (18_577, 18_000, 556)
