"""Metered revenue as the pages add it to what users pay per month: in picousd, by tracked user or by bucket."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from dashboard.queries.reading import fetch, once
from events.models import Organization
from metering import accrual, quantities
from metering.accrual import Terms
from metering.models import Meter
from metering.quantities import Span


def of_each_user(
    organization_id: int, start: datetime, until: datetime, external_id: str | None = None
) -> dict[int, int]:
    """What the usage of a span is worth, by tracked user, of all or of the one. Nothing is read without meters."""
    return _worth(organization_id, start, until, lambda: _ids(organization_id, external_id))


def of_some(organization_id: int, start: datetime, until: datetime, user_ids: Sequence[int]) -> dict[int, int]:
    """The same of the users with these ids."""
    return _worth(organization_id, start, until, lambda: user_ids) if user_ids else {}


def _worth(
    organization_id: int, start: datetime, until: datetime, ids: Callable[[], Sequence[int] | None]
) -> dict[int, int]:
    billing = _billing(organization_id)
    if billing is None:
        return {}
    found = accrual.accrued(billing.organization, start, until, customer_ids=ids(), terms=billing.terms)
    return {customer_id: picousd(usd) for customer_id, usd in found.by_customer().items()}


def by_bucket(
    organization_id: int, edges: Sequence[datetime], until: datetime, external_id: str | None = None
) -> tuple[int, ...] | None:
    """The same between neighbouring edges up to `until`, of all users together or of the one; None without meters."""
    billing = _billing(organization_id)
    if len(edges) < 2 or billing is None:
        return None
    ended, ids = [min(edge, until) for edge in edges], _ids(organization_id, external_id)
    spans = accrual.by_span(billing.organization, ended, customer_ids=ids, terms=billing.terms)
    return tuple(picousd(span.total_usd) for span in spans)


def records_of(organization_id: int, start: datetime, until: datetime, external_ids: Sequence[str]) -> dict[str, int]:
    """How many live usage records some customers have in a span. Index usage_record_of_customer."""
    if _billing(organization_id) is None:
        return {}
    statement = """SELECT t.external_id, count(*) FROM tracked_user t JOIN usage_record r
    ON r.organization_id = t.organization_id AND r.environment = 0 AND r.tracked_user_id = t.id
    AND r.meter_id IN (SELECT id FROM meter WHERE organization_id = %s)
WHERE t.organization_id = %s AND t.external_id = ANY(%s) AND r.occurred_at >= %s AND r.occurred_at < %s GROUP BY 1"""
    return dict(fetch(statement, (organization_id, organization_id, list(external_ids), start, until)))


def ids_by_external_id(organization_id: int, external_ids: Sequence[str]) -> dict[str, int]:
    """The ids of some tracked users. Index tracked_user_external_id."""
    statement = "SELECT external_id, id FROM tracked_user WHERE organization_id = %s AND external_id = ANY(%s)"
    return dict(fetch(statement, (organization_id, list(external_ids))))


def picousd(usd: Decimal) -> int:
    """Whole picousd, half away from zero: an amount by a rate may have more digits."""
    return int(usd.scaleb(12).to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True)
class _Billing:
    organization: Organization
    terms: Terms


def _billing(organization_id: int) -> _Billing | None:
    """By what the organization charges; None where it has no meters."""
    return once(("billing", organization_id), lambda: _read_billing(organization_id))


def _read_billing(organization_id: int) -> _Billing | None:
    organization = Organization.objects.filter(pk=organization_id, meters__isnull=False).distinct().first()
    return None if organization is None else _Billing(organization, accrual.terms_of(organization))


def _ids(organization_id: int, external_id: str | None) -> list[int] | None:
    if external_id is None:
        return None
    found = once(("user", external_id), lambda: ids_by_external_id(organization_id, [external_id]))
    return list(found.values())


@dataclass(frozen=True)
class MeterUse:
    """What one user used of one meter in a span, and what it is worth in picousd; None without a rate."""

    meter_id: int
    name: str
    unit: str
    quantity: Decimal
    records: int
    worth: int | None


def of_user(organization_id: int, start: datetime, until: datetime, external_id: str) -> tuple[MeterUse, ...]:
    """A user's use of each meter in a span, the most valuable first."""
    billing = _billing(organization_id)
    if billing is None:
        return ()
    ids = _ids(organization_id, external_id)
    used = quantities.by_customer(organization_id, [Span(start, until)], customer_ids=ids)
    worth = accrual.accrued(billing.organization, start, until, customer_ids=ids, terms=billing.terms)
    earned = worth.by_meter()
    meters = {meter.pk: meter for meter in Meter.objects.filter(organization_id=organization_id)}
    found = [
        MeterUse(
            use.meter_id,
            meters[use.meter_id].name,
            meters[use.meter_id].unit,
            use.quantity,
            use.records,
            None if use.meter_id in worth.unrated else picousd(earned.get(use.meter_id, Decimal(0))),
        )
        for use in used
    ]
    return tuple(sorted(found, key=lambda one: (-(one.worth or 0), one.name)))
