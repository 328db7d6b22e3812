"""What a meter costs from a day on, for everybody or for one customer. `metering/rating.py` says what rates mean."""

from collections.abc import Iterable
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from events.models import TrackedUser
from events.wire import FieldError
from metering.models.meter import Meter
from metering.rating import FlatFee, Graduated, InvalidRate, Model, Package, PerUnit, Rate, Tier, Volume


class RateKind(models.TextChoices):
    """How a quantity becomes an amount."""

    FLAT = "flat", "Flat fee"
    PER_UNIT = "per_unit", "Per unit"
    PACKAGE = "package", "Per started package"
    GRADUATED = "graduated", "Graduated tiers"
    VOLUME = "volume", "Volume tiers"


def price_field(help_text: str) -> "models.DecimalField[Decimal | None, Decimal | None]":
    return models.DecimalField(max_digits=30, decimal_places=12, null=True, blank=True, help_text=help_text)


class MeterRate(models.Model):
    """A rate, in force from the first billing month that begins on or after `effective_from`.

    A month has one rate: the one in force when it begins, or, where none was, the first that starts within it. A
    customer's own rate goes before the meter's, and is charged also in months without usage.
    """

    meter = models.ForeignKey(Meter, on_delete=models.CASCADE, related_name="rates")
    tracked_user = models.ForeignKey(
        TrackedUser,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="meter_rates",
        verbose_name="only for the customer",
        help_text="Empty: for everybody who has no rate of their own.",
    )
    effective_from = models.DateField(help_text="A day of the organization's time zone.")
    kind = models.CharField(max_length=10, choices=RateKind, default=RateKind.PER_UNIT)
    unit_price_usd = price_field("Per unit: the price of one.")
    fee_usd = price_field("Flat fee: what every billing month costs.")
    package_size = models.DecimalField(
        max_digits=27, decimal_places=9, null=True, blank=True, help_text="Per started package: units in one."
    )
    package_price_usd = price_field("Per started package: the price of one.")
    allowance = models.DecimalField(
        max_digits=27, decimal_places=9, default=Decimal(0), help_text="Units of each month that are free."
    )
    minimum_usd = models.DecimalField(
        max_digits=30, decimal_places=12, default=Decimal(0), help_text="The least that a month with a charge costs."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "meter_rate"
        ordering = ("meter", "tracked_user", "-effective_from")
        constraints = (
            models.UniqueConstraint(
                fields=["meter", "tracked_user", "effective_from"],
                name="meter_rate_once",
                nulls_distinct=False,
                violation_error_message="There is a rate from this day on already.",
            ),
            models.CheckConstraint(
                condition=Q(allowance__gte=0) & Q(minimum_usd__gte=0), name="meter_rate_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} from {self.effective_from}"

    @property
    def rate(self) -> Rate:
        """As `metering.rating` reads it. Raises InvalidRate. Reads the tiers, prefetched or not."""
        return self.with_tiers(self.tiers.all() if self.has_tiers else ())

    @property
    def has_tiers(self) -> bool:
        """Whether its kind has tiers."""
        return self.kind in (RateKind.GRADUATED, RateKind.VOLUME)

    def with_tiers(self, tiers: "Iterable[RateTier]") -> Rate:
        """The rate with these tiers, in any order, saved or not. Raises InvalidRate."""
        return Rate(self._model(tiers), self.allowance, self.minimum_usd)

    def _model(self, tiers: "Iterable[RateTier]") -> Model:
        match RateKind(self.kind):
            case RateKind.FLAT:
                return FlatFee(self._given("fee_usd"))
            case RateKind.PER_UNIT:
                return PerUnit(self._given("unit_price_usd"))
            case RateKind.PACKAGE:
                return Package(self._given("package_size"), self._given("package_price_usd"))
            case RateKind.GRADUATED:
                return Graduated(_in_order(tiers))
            case RateKind.VOLUME:
                return Volume(_in_order(tiers))

    def _given(self, field: str) -> Decimal:
        value: Decimal | None = getattr(self, field)
        if value is None:
            raise InvalidRate([FieldError(field, f"is required for {self.get_kind_display().lower()}")])
        return value


class RateTier(models.Model):
    """What is more than the tier before goes up to and at most `up_to`; empty for the last one."""

    rate = models.ForeignKey(MeterRate, on_delete=models.CASCADE, related_name="tiers")
    up_to = models.DecimalField(
        max_digits=27, decimal_places=9, null=True, blank=True, help_text="Included in the tier. Empty: no end."
    )
    unit_price_usd = models.DecimalField(max_digits=30, decimal_places=12)
    flat_fee_usd = models.DecimalField(max_digits=30, decimal_places=12, default=Decimal(0))

    class Meta:
        db_table = "meter_rate_tier"
        ordering = ("rate", models.F("up_to").asc(nulls_last=True))
        constraints = (
            models.UniqueConstraint(fields=["rate", "up_to"], name="meter_rate_tier_once", nulls_distinct=False),
            models.CheckConstraint(condition=Q(up_to=None) | Q(up_to__gt=0), name="meter_rate_tier_up_to_positive"),
            models.CheckConstraint(
                condition=Q(unit_price_usd__gte=0) & Q(flat_fee_usd__gte=0), name="meter_rate_tier_not_negative"
            ),
        )

    def __str__(self) -> str:
        return "no end" if self.up_to is None else f"up to {self.up_to.normalize():f}"


def _in_order(tiers: Iterable[RateTier]) -> tuple[Tier, ...]:
    return tuple(Tier(tier.up_to, tier.unit_price_usd, tier.flat_fee_usd) for tier in sorted(tiers, key=bound))


def bound(tier: RateTier) -> tuple[bool, Decimal]:
    """What tiers are in the order of: the one without an end comes last."""
    return (tier.up_to is None, tier.up_to or Decimal(0))
