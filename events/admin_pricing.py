"""Prices in the admin: a price change starts at a date, a correction edits the past; every entry can be taken back.

Nothing is written before a dry run has shown what it does to stored requests, and the list of revisions is the audit:
who changed what, when, why, with which effect. Rows of the catalog are never edited or deleted.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery, Value
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.http import urlencode
from django.utils.text import Truncator

from events import admin_pricing_actions as pricing_actions
from events import admin_pricing_tables as tables
from events import form_tokens, price_changes
from events.admin_access import Access, ModelAdmin, access_of
from events.admin_pricing_forms import (
    EVERYONE,
    QuestionForm,
    RatesForm,
    ReasonsForm,
    SetPriceForm,
    hidden_values,
    initial_rates,
)
from events.models import Organization, RepriceJob
from pricing import catalog, entries
from pricing.entries import Entered, Refused
from pricing.models import PricingRevision, RateCard

_DETAIL = "admin:pricing_pricingrevision_change"
_TEMPLATES = "admin/pricing/pricingrevision"
_TOO_OLD = "This page was too old: nothing was published. Please look through it and send it again."
_SENT_BEFORE = "This form was sent before: nothing was published a second time."
_UTC = ZoneInfo("UTC")


class PricingRevisionAdmin(ModelAdmin):
    """The audit of the catalog, and the pages that change it."""

    actions = None
    change_list_template = f"{_TEMPLATES}/change_list.html"
    list_display = ("number", "when", "what", "subject", "note_start", "whose", "who", "requests", "cost")
    search_fields = ("note", "summary__model")
    ordering = ("-pk",)
    list_per_page = 50
    show_full_result_count = False
    empty_value_display = "—"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PricingRevision]:
        """Everybody's revisions and those of one's own organizations, each with its author's and owner's name.

        What a change for everybody did to the requests of all organizations is for superusers alone.
        """
        access = access_of(request)
        own = Q(organization_id__in=list(access.roles))
        people = access.people().filter(pk=OuterRef("author_id")).values("email")[:1]
        owners = Organization.objects.filter(pk=OuterRef("organization_id")).values("name")[:1]
        found: QuerySet[PricingRevision] = super().get_queryset(request)
        found = found.select_related("retraction").annotate(
            author=Subquery(people),
            owner=Subquery(owners),
            shows_effect=Value(True) if access.everything else ExpressionWrapper(own, BooleanField()),
        )
        return found if access.everything else found.filter(own | Q(organization_id=None))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return access_of(request).manages(None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return access_of(request).manages(None)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # The columns of the list

    @admin.display(description="#", ordering="pk")
    def number(self, revision: PricingRevision) -> int:
        return revision.pk

    @admin.display(description="when (UTC)", ordering="created_at")
    def when(self, revision: PricingRevision) -> str:
        return f"{revision.created_at:%Y-%m-%d %H:%M}"

    @admin.display
    def what(self, revision: PricingRevision) -> str:
        return tables.kind_of(revision)

    @admin.display(description="model")
    def subject(self, revision: PricingRevision) -> str:
        return tables.subject(revision)

    @admin.display(description="why")
    def note_start(self, revision: PricingRevision) -> str:
        return Truncator(revision.note).chars(60)

    @admin.display
    def whose(self, revision: Any) -> str:
        return _whose(revision)

    @admin.display
    def who(self, revision: Any) -> str:
        return _who(revision)

    @admin.display(description="requests")
    def requests(self, revision: Any) -> str:
        effect = _effect(revision)
        return effect.total.events if effect else "—"

    @admin.display(description="cost before → after")
    def cost(self, revision: Any) -> str:
        effect = _effect(revision)
        return f"{effect.total.before} → {effect.total.after}" if effect and effect.events else "—"

    # Pages

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        pages = [
            path(f"{action.name.replace('_', '-')}/", wrap(partial(self.entry_view, action=action)), name=name)
            for action in (pricing_actions.SET_PRICE, pricing_actions.PRICE_CHANGE, pricing_actions.CORRECTION)
            for name in [f"pricing_{action.name}"]
        ]
        return [
            *pages,
            path("entered/", wrap(self.entered_view), name="pricing_entered"),
            path("<int:revision_id>/retract/", wrap(self.retract_view), name="pricing_retract"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "title": "Price changes"})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """One revision: what it changed, what that did to stored requests, and how far their re-pricing is."""
        access = _managing(request)
        revision = self._revision(request, object_id)
        zone, key = _zone(access, revision.organization_id), tables.key_of(revision)
        changes = tables.periods(catalog.load(revision.pk - 1), catalog.load(revision.pk), key, zone) if key else ()
        job = RepriceJob.objects.filter(to_revision=revision.pk).first() if revision.shows_effect else None
        return self._page(
            request,
            "detail",
            title=f"{tables.kind_of(revision)}: {tables.subject(revision)}".removesuffix(": "),
            revision=revision,
            when=tables.moment(revision.created_at, zone),
            who=_who(revision),
            whose=_whose(revision),
            facts=tables.facts(revision, zone),
            periods=changes,
            effect=_effect(revision),
            job=job,
            progress=tables.progress(job, zone) if job else "",
            can_retract=_may_retract(access, revision),
        )

    def entry_view(self, request: HttpRequest, action: pricing_actions.Action) -> HttpResponseBase:
        """The form of an action, its dry run, and its publication: each posts the same fields again."""
        access = _managing(request)
        if request.method != "POST":
            return self._blank_form(
                request, action, QuestionForm(pricing_actions.question_asked(request, access), access=access)
            )
        asked = QuestionForm(request.POST, access=access)
        if not asked.is_valid():
            return self._form(request, action, asked, None)
        form = action.form(request.POST, question=asked.question())
        if form.is_valid() and "back" not in request.POST:
            enter = partial(
                action.enter, form, pricing_actions.entered_by(request, form, asked.question().organization_id)
            )
            try:
                if "publish" not in request.POST:
                    return self._dry_run(request, action, asked, form, enter)
                if answer := self._publish_once(request, enter):
                    return answer
            except Refused as refusal:
                pricing_actions.show(refusal, asked, form)
        return self._form(request, action, asked, form)

    def retract_view(self, request: HttpRequest, revision_id: int) -> HttpResponseBase:
        """Asks why, showing what taking the entry back does; then does it."""
        access, revision = _managing(request), self._revision(request, str(revision_id))
        if not (access.everything or revision.organization_id in access.roles):
            raise PermissionDenied
        form = ReasonsForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            by = pricing_actions.entered_by(request, form, revision.organization_id)
            try:
                if answer := self._publish_once(request, partial(entries.retract, revision, by)):
                    return answer
            except Refused as refusal:
                form.add_error("note" if refusal.field == "note" else None, str(refusal))
        return self._page(request, "retract", revision=revision, form=form, **self._try_retracting(request, revision))

    def entered_view(self, request: HttpRequest) -> TemplateResponse:
        """The prices that were entered here and hold, or will."""
        access = _managing(request)
        cards = RateCard.objects.filter(layer=entries.LAYER, superseded_revision=None)
        if not access.everything:
            cards = cards.filter(Q(organization_id__in=list(access.roles)) | Q(organization_id=None))
        owners = dict(Organization.objects.values_list("pk", "name"))
        found = cards.select_related("model").order_by("model__provider", "model__key", "tier", "valid_from", "pk")
        rows = [_entered_row(card, access, owners) for card in found]
        return self._page(request, "entered", title="Prices entered here", rows=rows)

    def _revision(self, request: HttpRequest, object_id: str) -> Any:
        if not object_id.isdecimal():
            raise Http404
        return get_object_or_404(self.get_queryset(request), pk=object_id)

    def _blank_form(
        self, request: HttpRequest, action: pricing_actions.Action, asked: QuestionForm
    ) -> TemplateResponse:
        if not asked.is_bound or not asked.is_valid():
            return self._form(request, action, asked, None)
        question = asked.question()
        found = pricing_actions.holding(question)
        initial = initial_rates(found.card) if found.card else {}
        if action is pricing_actions.PRICE_CHANGE:
            initial["valid_from"] = f"{datetime.now(UTC).astimezone(question.zone):%Y-%m-%dT%H:%M}"
        return self._form(request, action, asked, action.form(question=question, initial=initial))

    def _form(
        self, request: HttpRequest, action: pricing_actions.Action, asked: QuestionForm, form: RatesForm | None
    ) -> TemplateResponse:
        token = request.POST.get(form_tokens.FIELD) if "back" in request.POST else None
        context: dict[str, Any] = {"token": token or form_tokens.new_token(request)}
        if form is not None:
            context["standing"] = pricing_actions.standing(form.question)
            context["hidden"] = [(name, asked.data.get(name, "")) for name in asked.fields]
        if isinstance(form, SetPriceForm):
            context |= pricing_actions.suggestions(form.question)
        return self._page(request, "form", title=action.title, action=action, asked=asked, form=form, **context)

    def _dry_run(
        self,
        request: HttpRequest,
        action: pricing_actions.Action,
        asked: QuestionForm,
        form: RatesForm,
        enter: Callable[[], PricingRevision],
    ) -> TemplateResponse:
        question = asked.question()
        tried = pricing_actions.tried(enter, pricing_actions.key_of(question), question.zone)
        start = form.cleaned_data["valid_from"]
        in_past = action is pricing_actions.PRICE_CHANGE and start is not None and start < datetime.now(UTC)
        return self._page(
            request,
            "dry_run",
            title=f"{action.title}: {question.name}",
            action=action,
            question=question,
            note=form.cleaned_data["note"],
            hidden=[*hidden_values(request.POST, asked, form)],
            warnings=tables.warnings(tried["effect"], bool(tried["periods"]), in_past),
            **tried,
        )

    def _publish_once(self, request: HttpRequest, enter: Callable[[], PricingRevision]) -> HttpResponseBase | None:
        """Publishes and goes to the revision; None, with a message, for a form that was not shown here. May refuse."""
        try:
            with transaction.atomic():
                form_tokens.claim(request)
                done = price_changes.publish(enter, now=datetime.now(UTC))
                form_tokens.settle(request, done.result.pk)
        except form_tokens.AlreadySent as sent:
            if sent.made_id is None:
                messages.error(request, _TOO_OLD)
                return None
            messages.info(request, _SENT_BEFORE)
            return redirect(_DETAIL, sent.made_id)
        touched = f"{done.effect.events:,} stored {'request is' if done.effect.events == 1 else 'requests are'}"
        messages.success(request, f"Published as number {done.result.pk}. {touched} being priced anew.")
        return redirect(_DETAIL, done.result.pk)

    def _try_retracting(self, request: HttpRequest, revision: Any) -> dict[str, Any]:
        zone, key = _zone(access_of(request), revision.organization_id), tables.key_of(revision)
        by = Entered(now=datetime.now(UTC), author_id=None, note="a dry run", organization_id=revision.organization_id)
        found: dict[str, Any] = {"title": f"Take back {revision.pk}", "what": tables.kind_of(revision)}
        found |= {"token": form_tokens.new_token(request), "subject": tables.subject(revision)}
        try:
            tried = pricing_actions.tried(partial(entries.retract, revision, by), key, zone)
        except Refused as refusal:
            return found | {"refusal": str(refusal)}
        return found | tried | {"warnings": tables.warnings(tried["effect"], bool(tried["periods"]), False)}

    def _page(self, request: HttpRequest, name: str, **context: Any) -> TemplateResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return TemplateResponse(request, f"{_TEMPLATES}/{name}.html", shared | context)


def _managing(request: HttpRequest) -> Access:
    """The access of a person who manages something; nobody else gets in."""
    access = access_of(request)
    if not access.manages(None):
        raise PermissionDenied
    return access


def _zone(access: Access, organization_id: int | None) -> ZoneInfo:
    """The organization's; for everybody's prices that of the only one the person manages, or else UTC."""
    found = list(access.organizations().filter(pk=organization_id) if organization_id else access.organizations()[:2])
    return found[0].zone if len(found) == 1 else _UTC


def _whose(revision: Any) -> str:
    return "everyone" if revision.organization_id is None else revision.owner or "a removed organization"


def _who(revision: Any) -> str:
    return revision.author or ("a command" if revision.author_id is None else "somebody outside your organizations")


def _effect(revision: Any) -> tables.EffectTable | None:
    return tables.effect_table(revision.summary.get("effect")) if revision.shows_effect else None


def _may_retract(access: Access, revision: PricingRevision) -> bool:
    mine = access.everything or revision.organization_id in access.roles
    is_entry = tables.key_of(revision) is not None and revision.kind != PricingRevision.Kind.RETRACTION
    return mine and is_entry and not hasattr(revision, "retraction")


def _entered_row(card: RateCard, access: Access, owners: dict[int, str]) -> dict[str, Any]:
    zone = _zone(access, card.organization_id)
    asked = {"provider": card.model.provider_id, "model": card.model.key, "tier": card.tier, "region": card.region}
    mine = access.everything or card.organization_id in access.roles
    return {
        "card": card,
        "whose": owners.get(card.organization_id or 0, "everyone"),
        "start": tables.moment(card.valid_from, zone) or "since ever",
        "end": tables.moment(card.valid_to, zone) or "until further notice",
        "query": urlencode(asked | {"organization": str(card.organization_id or EVERYONE)}) if mine else "",
    }
