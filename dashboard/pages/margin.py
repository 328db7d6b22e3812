"""What an invoice brings against what it cost to serve the customer in its period."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.urls import reverse

from dashboard.formats import UNKNOWN, count, money, money_exact, percent, usd, usd_short
from dashboard.pages.cost_rows import NO_PRICE, Figure
from dashboard.queries.invoices import ServingCost

VOID_MARGIN = Figure(UNKNOWN, title="A void invoice brings nothing")


@dataclass(frozen=True)
class Margin:
    """Cost to serve and gross margin; `unpriced` says how many requests have no known cost, '' for none."""

    cost: Figure
    unpriced: str
    amount: Figure
    share: Figure
    """The amount as a part of the revenue; a dash without revenue."""


def margin(served: ServingCost, charged_usd: Decimal, *, is_void: bool) -> Margin:
    """`charged_usd` is the revenue: what is charged before credits are used, less credit notes.

    As on every page, requests without a price are left out and counted beside it; where none has one, nothing is known.
    """
    unpriced = f"{count(served.unpriced)} unpriced" if served.unpriced else ""
    more = f"; {count(served.unpriced)} without a price left out" if served.unpriced else ""
    is_unknown = 0 < served.requests == served.unpriced
    cost = Figure(money(served.cost_picousd), title=f"{money_exact(served.cost_picousd)}{more}")
    if is_unknown:
        cost = Figure("no price", title=NO_PRICE, is_words=True)
    if is_void or is_unknown:
        return Margin(cost, unpriced, VOID_MARGIN if is_void else Figure(UNKNOWN, title=NO_PRICE), Figure(""))
    left = charged_usd - Decimal(served.cost_picousd).scaleb(-12)
    tone = "bad" if left < 0 else ""
    words = f"{usd(charged_usd)} charged, {money_exact(served.cost_picousd)} cost{more}"
    share = Figure(
        percent(left / charged_usd) if charged_usd > 0 else "no revenue", tone=tone, is_words=not charged_usd
    )
    return Margin(cost, unpriced, Figure(usd_short(left), title=words, tone=tone), share)


def behind_href(name: str, external_id: str, start: datetime, until: datetime, zone: ZoneInfo, **words: str) -> str:
    """The page `name` with a customer's days of the organization's zone, from `start` to before `until`.

    The days are exactly the span unless the zone has changed since.
    """
    last = until - timedelta(microseconds=1)
    days = {"from": start.astimezone(zone).date().isoformat(), "to": last.astimezone(zone).date().isoformat()}
    return f"{reverse(f'dashboard:{name}')}?{urlencode(days | {'user': external_id} | words)}"
