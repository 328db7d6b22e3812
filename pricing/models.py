"""The price catalog. Append-only: a change closes a row by setting superseded_revision and inserts another.

Open ends of a validity are NULL (since ever, until further notice). Rates are USD per million tokens.
"""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Cast, Coalesce


class TsTzRange(Func):
    """tstzrange(valid_from, valid_to, '[)'): the start belongs to the validity, the end does not."""

    function = "tstzrange"
    output_field = DateTimeRangeField()


def _validity() -> TsTzRange:
    return TsTzRange("valid_from", "valid_to", RangeBoundary())


def _starts_before_it_ends(name: str) -> models.CheckConstraint:
    open_ended = Q(valid_from__isnull=True) | Q(valid_to__isnull=True)
    return models.CheckConstraint(name=name, condition=open_ended | Q(valid_from__lt=F("valid_to")))


class PricingRevision(models.Model):
    """One change of the catalog; its number dates every row and every cost."""

    class Kind(models.TextChoices):
        IMPORT = "import"
        OVERRIDE = "override"
        CORRECTION = "correction"
        RETRACTION = "retraction"

    created_at = models.DateTimeField()
    author_id = models.BigIntegerField(null=True)  # NULL: a command
    organization_id = models.BigIntegerField(null=True)  # whose own prices it changed; NULL: everyone's
    # A retraction names what it takes back, so that nothing is taken back twice.
    retracts = models.OneToOneField("self", models.PROTECT, null=True, related_name="retraction")
    kind = models.CharField(max_length=16, choices=Kind)
    note = models.TextField()
    summary = models.JSONField()

    class Meta:
        db_table = "pricing_revision"
        verbose_name = "price change"
        constraints = [
            models.CheckConstraint(
                name="pricing_revision_kind", condition=Q(kind__in=["import", "override", "correction", "retraction"])
            )
        ]

    def __str__(self) -> str:
        return f"{self.pk}: {self.note}"


class PricingSnapshot(models.Model):
    """One imported price list, kept whole, so that any old cost can be rebuilt from its source."""

    source = models.TextField()
    version = models.TextField()
    sha256 = models.BinaryField(unique=True)
    raw = models.BinaryField()  # zlib
    imported_revision = models.ForeignKey(PricingRevision, models.PROTECT)

    class Meta:
        db_table = "pricing_snapshot"

    def __str__(self) -> str:
        return f"{self.source} {self.version}"


class Provider(models.Model):
    """Who serves calls and sends the bill."""

    slug = models.TextField(primary_key=True)
    name = models.TextField()

    class Meta:
        db_table = "pricing_provider"

    def __str__(self) -> str:
        return self.slug


class ProviderTerms(models.Model):
    """What else a provider sells, and which model names are its own, as of one revision."""

    provider = models.ForeignKey(Provider, models.PROTECT, related_name="terms")
    # Providers whose models it also offers at their standard list price, in order (Azure sells OpenAI's models).
    resells = ArrayField(models.TextField(), default=list)
    # Anchored regular expression of model names that are unmistakably its own; used when an event names no provider.
    model_pattern = models.TextField(default="", blank=True)
    created_revision = models.ForeignKey(PricingRevision, models.PROTECT, related_name="+")
    superseded_revision = models.ForeignKey(PricingRevision, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "pricing_provider_terms"
        constraints = [
            models.UniqueConstraint(
                name="pricing_provider_terms_open", fields=["provider"], condition=Q(superseded_revision__isnull=True)
            )
        ]

    def __str__(self) -> str:
        return self.provider_id


class ProviderAlias(models.Model):
    """Another spelling of a provider, in lower case."""

    alias = models.TextField()
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="aliases")
    layer = models.SmallIntegerField()
    source_url = models.TextField()
    created_revision = models.ForeignKey(PricingRevision, models.PROTECT, related_name="+")
    superseded_revision = models.ForeignKey(PricingRevision, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "pricing_provider_alias"
        constraints = [
            models.UniqueConstraint(
                name="pricing_provider_alias_open",
                fields=["alias", "layer"],
                condition=Q(superseded_revision__isnull=True),
            ),
            models.CheckConstraint(
                name="pricing_provider_alias_lower_case", condition=Q(alias=models.functions.Lower("alias"))
            ),
            models.CheckConstraint(name="pricing_provider_alias_layer", condition=Q(layer__in=[10, 20, 30])),
            models.CheckConstraint(name="pricing_provider_alias_source", condition=~Q(source_url="")),
        ]

    def __str__(self) -> str:
        return self.alias


class PricedModel(models.Model):
    """A model under the name that the catalog uses for it; one organization's own (a deployment) is nobody else's."""

    provider = models.ForeignKey(Provider, models.PROTECT, related_name="models")
    key = models.TextField()
    organization_id = models.BigIntegerField(null=True)  # NULL: everyone
    # Set by the import that no longer listed the model; its names and rates stay, or history would lose its price.
    dropped_revision = models.ForeignKey(PricingRevision, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "pricing_model"
        constraints = [
            models.UniqueConstraint("provider", "key", Coalesce("organization_id", Value(0)), name="pricing_model_key")
        ]

    def __str__(self) -> str:
        return f"{self.provider_id}/{self.key}"


class ModelAlias(models.Model):
    """A model id as applications send it; dated, because names move from one model to another."""

    class Match(models.TextChoices):
        EXACT = "exact"
        REGEX = "regex"
        PREFIX = "prefix"

    provider = models.ForeignKey(Provider, models.PROTECT, related_name="+")
    organization_id = models.BigIntegerField(null=True)  # NULL: everyone
    alias = models.TextField()
    match = models.CharField(max_length=8, choices=Match)
    rank = models.IntegerField(default=0)  # regular expressions are tried in this order
    model = models.ForeignKey(PricedModel, models.PROTECT, related_name="names")
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    layer = models.SmallIntegerField()
    source_url = models.TextField()
    created_revision = models.ForeignKey(PricingRevision, models.PROTECT, related_name="+")
    superseded_revision = models.ForeignKey(PricingRevision, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "pricing_model_alias"
        constraints = [
            models.CheckConstraint(
                name="pricing_model_alias_match", condition=Q(match__in=["exact", "regex", "prefix"])
            ),
            models.CheckConstraint(name="pricing_model_alias_layer", condition=Q(layer__in=[10, 20, 30])),
            models.CheckConstraint(name="pricing_model_alias_source", condition=~Q(source_url="")),
            # A pattern without both anchors also prices models that only resemble the intended one.
            models.CheckConstraint(
                name="pricing_model_alias_anchored",
                condition=~Q(match="regex") | (Q(alias__startswith="^") & Q(alias__endswith="$")),
            ),
            _starts_before_it_ends("pricing_model_alias_validity"),
            ExclusionConstraint(
                name="pricing_model_alias_no_overlap",
                expressions=[
                    ("provider", RangeOperators.EQUAL),
                    (Coalesce("organization_id", Value(0)), RangeOperators.EQUAL),
                    ("match", RangeOperators.EQUAL),
                    ("alias", RangeOperators.EQUAL),
                    ("layer", RangeOperators.EQUAL),
                    (_validity(), RangeOperators.OVERLAPS),
                ],
                condition=Q(superseded_revision__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.alias


class RateCard(models.Model):
    """The rates of one model, tier and region over one validity."""

    class Layer(models.IntegerChoices):
        IMPORT = 10
        CORRECTION = 20
        OVERRIDE = 30

    class DateBasis(models.TextChoices):
        DOCUMENTED = "documented"
        OBSERVED = "observed"
        ASSUMED = "assumed"

    model = models.ForeignKey(PricedModel, models.PROTECT, related_name="cards")
    organization_id = models.BigIntegerField(null=True)  # NULL: everyone
    tier = models.CharField(max_length=8)
    region = models.TextField(default="global")
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    weekly_window = models.JSONField(null=True)  # see pricing.windows
    layer = models.SmallIntegerField(choices=Layer)
    date_basis = models.CharField(max_length=10, choices=DateBasis)
    has_other_charges = models.BooleanField(default=False)
    snapshot = models.ForeignKey(PricingSnapshot, models.PROTECT, null=True)
    source_url = models.TextField()
    created_revision = models.ForeignKey(PricingRevision, models.PROTECT, related_name="+")
    superseded_revision = models.ForeignKey(PricingRevision, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "pricing_rate_card"
        constraints = [
            models.CheckConstraint(
                name="pricing_rate_card_tier", condition=Q(tier__in=["standard", "batch", "flex", "priority"])
            ),
            models.CheckConstraint(name="pricing_rate_card_layer", condition=Q(layer__in=[10, 20, 30])),
            models.CheckConstraint(
                name="pricing_rate_card_date_basis", condition=Q(date_basis__in=["documented", "observed", "assumed"])
            ),
            models.CheckConstraint(name="pricing_rate_card_source", condition=~Q(source_url="")),
            _starts_before_it_ends("pricing_rate_card_validity"),
            ExclusionConstraint(
                name="pricing_rate_card_no_overlap",
                expressions=[
                    ("model", RangeOperators.EQUAL),
                    (Coalesce("organization_id", Value(0)), RangeOperators.EQUAL),
                    ("tier", RangeOperators.EQUAL),
                    ("region", RangeOperators.EQUAL),
                    ("layer", RangeOperators.EQUAL),
                    (Coalesce(Cast("weekly_window", models.TextField()), Value("")), RangeOperators.EQUAL),
                    (_validity(), RangeOperators.OVERLAPS),
                ],
                condition=Q(superseded_revision__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} {self.tier} {self.valid_from}"


_METERS = ["input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning"]


class Rate(models.Model):
    """What a million tokens of one meter cost, from a prompt size on."""

    card = models.ForeignKey(RateCard, models.CASCADE, related_name="rates")
    meter = models.CharField(max_length=16)
    prompt_over = models.BigIntegerField(default=0)  # applies when the whole prompt has more tokens than this
    usd_per_mtok = models.DecimalField(max_digits=16, decimal_places=6)
    is_free = models.BooleanField(default=False)

    class Meta:
        db_table = "pricing_rate"
        constraints = [
            models.UniqueConstraint(name="pricing_rate_meter", fields=["card", "meter", "prompt_over"]),
            models.CheckConstraint(name="pricing_rate_meter_known", condition=Q(meter__in=_METERS)),
            models.CheckConstraint(name="pricing_rate_prompt_over", condition=Q(prompt_over__gte=0)),
            # Unknown prices turn into zeros easily; a zero counts only when somebody said that it is one.
            models.CheckConstraint(
                name="pricing_rate_zero_only_if_free",
                condition=Q(usd_per_mtok__gt=0, is_free=False) | Q(usd_per_mtok=0, is_free=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.meter} {self.usd_per_mtok}"


class TierPolicy(models.Model):
    """How a tier relates to the standard rates where its own rates are not known, for a model or for a provider."""

    provider = models.ForeignKey(Provider, models.PROTECT, related_name="+")
    model = models.ForeignKey(PricedModel, models.PROTECT, null=True, related_name="tier_policies")
    model_pattern = models.TextField(default="", blank=True)  # anchored, over the model's key; empty: every model
    tier = models.CharField(max_length=8)
    valid_from = models.DateTimeField(null=True)
    valid_to = models.DateTimeField(null=True)
    layer = models.SmallIntegerField()
    source_url = models.TextField()
    created_revision = models.ForeignKey(PricingRevision, models.PROTECT, related_name="+")
    superseded_revision = models.ForeignKey(PricingRevision, models.PROTECT, null=True, related_name="+")

    class Meta:
        db_table = "pricing_tier_policy"
        constraints = [
            models.CheckConstraint(
                name="pricing_tier_policy_tier", condition=Q(tier__in=["batch", "flex", "priority"])
            ),
            models.CheckConstraint(name="pricing_tier_policy_layer", condition=Q(layer__in=[10, 20, 30])),
            models.CheckConstraint(name="pricing_tier_policy_source", condition=~Q(source_url="")),
            models.CheckConstraint(
                name="pricing_tier_policy_anchored",
                condition=Q(model_pattern="") | (Q(model_pattern__startswith="^") & Q(model_pattern__endswith="$")),
            ),
            _starts_before_it_ends("pricing_tier_policy_validity"),
            ExclusionConstraint(
                name="pricing_tier_policy_no_overlap",
                expressions=[
                    ("provider", RangeOperators.EQUAL),
                    (Coalesce("model_id", Value(0)), RangeOperators.EQUAL),
                    ("model_pattern", RangeOperators.EQUAL),
                    ("tier", RangeOperators.EQUAL),
                    ("layer", RangeOperators.EQUAL),
                    (_validity(), RangeOperators.OVERLAPS),
                ],
                condition=Q(superseded_revision__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider_id} {self.tier}"


class TierFactor(models.Model):
    """By what a policy multiplies the standard rate of one meter, from a prompt size on; no row means unchanged."""

    policy = models.ForeignKey(TierPolicy, models.CASCADE, related_name="factors")
    meter = models.CharField(max_length=16)
    prompt_over = models.BigIntegerField(default=0)
    # Twelve decimals: o4-mini's priority rates are 20/11 of its standard ones, and must come out to the sixth decimal.
    factor = models.DecimalField(max_digits=18, decimal_places=12)

    class Meta:
        db_table = "pricing_tier_factor"
        constraints = [
            models.UniqueConstraint(name="pricing_tier_factor_meter", fields=["policy", "meter", "prompt_over"]),
            models.CheckConstraint(name="pricing_tier_factor_meter_known", condition=Q(meter__in=_METERS)),
            models.CheckConstraint(name="pricing_tier_factor_positive", condition=Q(factor__gt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.meter} x{self.factor}"
