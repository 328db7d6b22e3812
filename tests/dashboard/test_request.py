"""One request: facts, the receipt that adds up, what is unknown, and JSON as it was sent."""

from datetime import UTC, datetime

from django.test import Client

from events.models import EventCostHistory, Flag, Organization
from events.models.event import public_id
from pricing import catalog
from pricing.costs import Usage
from tests.dashboard import price_rows
from tests.dashboard.conftest import htmx
from tests.dashboard.test_overview import text_of
from tests.events_table import Call, store_events

METADATA = '{"n": 1.10, "big": 9007199254740993, "html": "<script>alert(1)</script>"}'


def test_the_receipt_adds_up_to_the_cost(member: Client, organization: Organization, now: datetime) -> None:
    usage = Usage(1200, 350, 1000)
    cost = catalog.load().price("openai", "gpt-4o", catalog.epoch_ms(now), usage)
    assert cost.picousd == 5_250_000_000
    (event_id,) = store_events(
        organization,
        [Call(at=now, usage=usage, cost=cost.picousd, rate_card_id=cost.card_id, session_id="s-1", metadata=METADATA)],
    )
    markup = member.get(f"/requests/{public_id(event_id)}/").content.decode()
    shown = text_of(markup)
    for part in (
        "Input tokens 200 $2.50 $0.0005",
        "Cached input 1,000 $1.25 $0.00125",
        "Output tokens 350 $10.00 $0.0035",
        "Total $0.00525",
        "Rates of openai/gpt-4o , standard",
        "Source: genai-prices",
        "revision",
        "Session s-1",
        "1,200 (1,000 cached)",
    ):
        assert part in shown
    assert 'href="/sessions/session/?session=s-1"' in markup
    assert 'Rates of <a href="/pricing/openai/gpt-4o/">openai/gpt-4o</a>, standard' in markup
    assert "9007199254740993" in markup
    assert "1.10" in markup
    assert "<script>alert" not in markup


def test_unknown_cost_and_mended_counters_are_explained(
    member: Client, organization: Organization, now: datetime
) -> None:
    flags = Flag.INPUT_TOKENS_EXCLUSIVE | Flag.TEXT_CUT
    (event_id,) = store_events(
        organization,
        [Call(at=now, cost=None, model="acme-1", status="ERROR", error_message="<b>no</b>", flags=flags, user="u")],
    )
    markup = member.get(f"/requests/{public_id(event_id)}/").content.decode()
    shown = text_of(markup)
    assert "Unpriced, because no price was known for this model" in shown
    assert 'href="/pricing/">Models without a price</a>' in markup
    assert "the input is their sum" in shown
    assert "was cut" in shown
    assert "&lt;b&gt;no&lt;/b&gt;" in markup
    assert "$0.00" not in shown


def test_what_it_cost_before_is_told(member: Client, organization: Organization, now: datetime) -> None:
    (event_id,) = store_events(organization, [Call(at=now, region="us")])
    for day, cost, revision in (
        (21, 5_200_000_000, price_rows.revision(note="the <b>list</b> was wrong").pk),
        (3, None, 990),
        (9, 1, price_rows.revision(note="a secret", organization_id=organization.pk + 1).pk),
    ):
        EventCostHistory.objects.create(
            event_id=event_id,
            replaced_at=datetime(2026, 11, day, 12, tzinfo=UTC),
            replaced_by_revision=revision,
            cost_picousd=cost,
            price_status="priced",
            pricing_revision=1,
        )
    markup = member.get(f"/requests/{public_id(event_id)}/").content.decode()
    shown = text_of(markup)
    first = shown.index("$0.0052 until 21 Nov 2026, replaced by revision")
    second = shown.index("$0.000000000001 until 9 Nov 2026")
    assert first < second < shown.index("No price until 3 Nov 2026, replaced by revision 990")
    assert ": the &lt;b&gt;list&lt;/b&gt; was wrong" in markup
    assert "secret" not in markup
    assert "Region us" in shown


def test_without_a_history_nothing_is_said_of_it(member: Client, organization: Organization, now: datetime) -> None:
    (event_id,) = store_events(organization, [Call(at=now)])
    shown = text_of(member.get(f"/requests/{public_id(event_id)}/").content.decode())
    assert "What it cost before" not in shown
    assert "Region" not in shown


def test_the_drawer_gets_the_inside_only(member: Client, organization: Organization, now: datetime) -> None:
    (event_id,) = store_events(organization, [Call(at=now, provider_usage='{"prompt_tokens": 7}')])
    markup = member.get(f"/requests/{public_id(event_id)}/", headers=htmx("drawer-body")).content.decode()
    assert "<html" not in markup
    assert "<h1" in markup
    assert "prompt_tokens" in markup


def test_what_is_no_request_is_not_found(member: Client, organization: Organization) -> None:
    for path in ("evt_1", "evt_" + "0" * 32, "evt_" + "f" * 32, "x" * 300, "EVT_" + "a" * 32):
        assert member.get(f"/requests/{path}/").status_code == 404
