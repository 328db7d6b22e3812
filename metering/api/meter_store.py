"""Meters and rates in the database. Every function keeps to one organization and raises HttpError."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Prefetch, ProtectedError, Q, QuerySet

from events.models import TrackedUser
from events.wire import FieldError
from metering.api import rate_input
from metering.api.errors import conflict, invalid, not_found
from metering.api.meter_schemas import MeterIn, MeterPatch, RateIn
from metering.models import Aggregation, Meter, MeterRate, RateTier, UsageRecord


def listed(organization_id: int, after: tuple[str, int] | None, limit: int, *, archived: bool) -> Sequence[Meter]:
    """Meters with their rates, by name; archived ones only when asked for. Three queries."""
    meters = _with_rates().filter(organization_id=organization_id, archived_at__isnull=not archived)
    if after is not None:
        meters = meters.filter(Q(name__gt=after[0]) | Q(name=after[0], id__gt=after[1]))
    return list(meters.order_by("name", "id")[:limit])


def get(organization_id: int, meter_id: int) -> Meter:
    """A meter with its rates, archived or not. 404."""
    meter = _with_rates().filter(organization_id=organization_id, pk=meter_id).first()
    if meter is None:
        raise not_found("meter")
    return meter


@transaction.atomic
def create(organization_id: int, incoming: MeterIn) -> Meter:
    """A new meter with its rates. 422."""
    meter = Meter(
        organization_id=organization_id,
        name=incoming.name,
        unit=incoming.unit,
        aggregation=incoming.aggregation,
        unique_key=incoming.unique_key or "",
    )
    rates = [(f"rates[{number}].", rate) for number, rate in enumerate(incoming.rates)]
    errors = [
        *_meter_errors(meter),
        *(error for path, rate in rates for error in rate_input.errors_of(rate, path)),
        *rate_input.repeated(incoming.rates),
        *_unknown_customers(organization_id, rates),
    ]
    if errors:
        raise invalid(errors)
    meter.save()
    _save_rates(meter, incoming.rates)
    return get(organization_id, meter.pk)


@transaction.atomic
def change(organization_id: int, meter_id: int, patch: MeterPatch) -> Meter:
    """Only the fields that were sent. 404, 409 once records depend on how they are counted, 422."""
    meter = _locked(organization_id, meter_id)
    sent: dict[str, Any] = patch.model_dump(exclude_unset=True)
    if "unique_key" in sent:
        sent["unique_key"] = sent["unique_key"] or ""
    for field in ("aggregation", "unique_key"):
        if field in sent and sent[field] != getattr(meter, field) and _has_records(meter):
            raise conflict(field, "cannot change any more: the meter has records; make another meter")
    for field, value in sent.items():
        setattr(meter, field, value)
    if errors := list(_meter_errors(meter)):
        raise invalid(errors)
    if sent:
        meter.save(update_fields=list(sent))
    return get(organization_id, meter_id)


@transaction.atomic
def archive(organization_id: int, meter_id: int, now: datetime) -> Meter:
    """No more records from now on; what was recorded is still billed. Again: no change. 404."""
    get(organization_id, meter_id)
    Meter.objects.filter(pk=meter_id, archived_at=None).update(archived_at=now)
    return get(organization_id, meter_id)


@transaction.atomic
def add_rate(organization_id: int, meter_id: int, incoming: RateIn) -> MeterRate:
    """A rate from a day on. 404, 409 for an archived meter, 422."""
    meter = _locked(organization_id, meter_id)
    errors = [*rate_input.errors_of(incoming), *_unknown_customers(organization_id, [("", incoming)])]
    if not errors:
        try:
            rate_input.row(incoming, meter.pk).validate_constraints()
        except ValidationError as error:
            errors = [FieldError("effective_from", one.message) for one in rate_input.model_errors(error)]
    if errors:
        raise invalid(errors)
    return _save_rates(meter, [incoming])[0]


@transaction.atomic
def remove_rate(organization_id: int, meter_id: int, rate_id: int) -> None:
    """404; 409 when a finalized invoice was made by it."""
    rate = MeterRate.objects.filter(pk=rate_id, meter_id=meter_id, meter__organization_id=organization_id).first()
    if rate is None:
        raise not_found("rate")
    try:
        rate.delete()
    except ProtectedError:
        raise conflict("", "an invoice was made by this rate, so it stays; add one from a later day on") from None


def _with_rates() -> QuerySet[Meter]:
    rates = MeterRate.objects.order_by("-effective_from", "-id").prefetch_related("tiers")
    return Meter.objects.prefetch_related(Prefetch("rates", rates))


def _locked(organization_id: int, meter_id: int) -> Meter:
    meter = Meter.objects.select_for_update().filter(organization_id=organization_id, pk=meter_id).first()
    if meter is None:
        raise not_found("meter")
    if meter.archived_at is not None:
        raise conflict("", "the meter is archived and does not change any more")
    return meter


def _has_records(meter: Meter) -> bool:
    return UsageRecord.objects.filter(organization_id=meter.organization_id, meter_id=meter.pk).exists()


def _meter_errors(meter: Meter) -> Iterable[FieldError]:
    counts_values = meter.aggregation == Aggregation.UNIQUE_COUNT
    if counts_values and not meter.unique_key:
        yield FieldError("unique_key", "is required for UNIQUE_COUNT: the metadata key whose values are counted")
    elif meter.unique_key and not counts_values:
        yield FieldError("unique_key", "belongs to UNIQUE_COUNT only")
    try:
        meter.full_clean(exclude=["organization", "token"], validate_unique=False, validate_constraints=False)
        _constraint("meter_name").validate(Meter, meter)
    except ValidationError as error:
        yield from _named(error)


def _named(error: ValidationError) -> list[FieldError]:
    if hasattr(error, "error_dict"):
        return rate_input.model_errors(error)
    return [FieldError("name", str(message).rstrip(".")) for message in error.messages]


def _constraint(name: str) -> Any:
    return next(one for one in Meter._meta.constraints if one.name == name)


def _unknown_customers(organization_id: int, rates: Sequence[tuple[str, RateIn]]) -> list[FieldError]:
    wanted = {rate.customer_id for _, rate in rates if rate.customer_id is not None}
    if not wanted:
        return []
    customers = TrackedUser.objects.filter(organization_id=organization_id, pk__in=wanted)
    missing = wanted - set(customers.values_list("pk", flat=True))
    message = "there is no such customer"
    return [FieldError(f"{path}customer_id", message) for path, rate in rates if rate.customer_id in missing]


def _save_rates(meter: Meter, rates: Sequence[RateIn]) -> list[MeterRate]:
    saved = MeterRate.objects.bulk_create([rate_input.row(rate, meter.pk) for rate in rates])
    RateTier.objects.bulk_create(
        tier for rate, row in zip(rates, saved, strict=True) for tier in rate_input.tier_rows(rate, row)
    )
    return saved
