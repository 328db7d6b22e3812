"""Writes the demo's invented events as the ingest writer would, only faster: one transaction, COPY in large chunks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched
from random import Random

from django.db import connection, transaction

from events import api_keys, copy_rows, demo, rollups
from events.demo import DemoUser
from events.keys import KeyRecord
from events.models import ApiKey, Environment, Organization, RevenueChange, Scope, TrackedUser
from events.rows import Row, give_ids, priced_row
from events.schema import IncomingEvent
from pricing import catalog
from pricing.catalog import Catalog
from pricing.publishing import hold_fence

CHUNK = 5_000

Progress = Callable[[int], None]
"""Told how many events are written so far."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Which demo: the same one is written to an organization once only."""

    organization: Organization
    number: int
    days: int
    seed: int

    @property
    def key_name(self) -> str:
        """The name of the API key under which the events stand; that key marks the demo as written."""
        return f"Demo data: {self.number} events, {self.days} days, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written; `spend_picousd` is the sum over the priced events, in 1e-12 USD."""

    events: int
    users: int
    spend_picousd: int


def is_written(wanted: Demo) -> bool:
    """Whether the organization has this demo already."""
    return ApiKey.objects.filter(organization=wanted.organization, name=wanted.key_name).exists()


def write(wanted: Demo, *, now: datetime, progress: Progress) -> Written | None:
    """Write users, revenue, events and their usage up to `now`, all or nothing; None when they are there already."""
    first_day = now - timedelta(days=wanted.days)
    with connection.cursor() as cursor:
        # Before the transaction: a new partition locks the event table until its transaction ends.
        cursor.execute("SELECT ensure_event_partitions(%s::date, %s::date)", [first_day, now])
    with transaction.atomic():
        # Two runs at once must not both find nothing; events that arrive meanwhile are not held up by this lock.
        Organization.objects.select_for_update(no_key=True).get(pk=wanted.organization.pk)
        if is_written(wanted):
            return None
        writer = _Writer(wanted, now)
        written = writer.write(progress)
        if not hold_fence(writer.catalog.revision):
            raise PricesChanged("the price catalog changed while the demo was written: nothing is kept, run it again")
    rollups.fold_now()
    return written


class PricesChanged(Exception):
    """A new revision of the catalog was published meanwhile."""


class _Writer:
    """One demo on its way into the database, inside the caller's transaction."""

    def __init__(self, wanted: Demo, now: datetime) -> None:
        self.wanted = wanted
        self.now = now
        self.catalog: Catalog = catalog.load()
        self.key = _spent_key(wanted, now)
        # With the key's number, so that no two organizations and no two demos ever get the same ids.
        self.random = Random(f"{wanted.seed} ids {self.key.id}")  # noqa: S311  not a secret

    def write(self, progress: Progress) -> Written:
        wanted = self.wanted
        traffic = demo.Traffic(wanted.seed, wanted.days, wanted.number, self.now, wanted.organization.zone)
        users = demo.users(traffic)
        user_ids = _store_users(wanted.organization, users)
        count = spend_picousd = 0
        for chunk in batched(demo.events(traffic), CHUNK):
            rows = [self._row(event, user_ids) for event in chunk]
            self._copy(rows)
            count += len(rows)
            spend_picousd += sum(row.cost.picousd or 0 for row in rows)
            progress(count)
        return Written(count, len(users), spend_picousd)

    def _row(self, event: IncomingEvent, user_ids: Mapping[str, int]) -> Row:
        received_at = datetime.fromtimestamp(event.occurred_at_ms / 1000, UTC)
        row = priced_row(event, self.key, self.catalog, received_at)
        assert not row.flags, "there is nothing to mend in the demo's events"
        row.tracked_user_id = user_ids[event.user.external_id] if event.user else None
        return row

    def _copy(self, rows: list[Row]) -> None:
        give_ids(rows, self.random.randbytes)
        for statement, lines in (
            (copy_rows.EVENT_COPY, copy_rows.event_lines(rows)),
            (copy_rows.DELTA_COPY, copy_rows.delta_lines(rows)),
        ):
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(lines)


def _spent_key(wanted: Demo, now: datetime) -> KeyRecord:
    """The API key that the events name as theirs: revoked from the start, its text thrown away."""
    key, _ = api_keys.create(
        organization=wanted.organization,
        name=wanted.key_name,
        environment=Environment.LIVE,
        scopes=[Scope.EVENTS_WRITE.value],
        expires_at=None,
        created_by=None,
        now=now,
    )
    api_keys.revoke(key=key, now=now)
    return KeyRecord(
        id=key.pk,
        organization_id=wanted.organization.pk,
        environment=key.environment,
        scopes=frozenset(key.scopes),
        zone=wanted.organization.zone,
        prefix=key.prefix,
        expires_at=None,
        revoked_at=key.revoked_at,
    )


def _store_users(organization: Organization, users: Iterable[DemoUser]) -> dict[str, int]:
    """Create the users that are missing, with their revenue; returns the ids of all by external id."""
    by_id = {user.external_id: user for user in users}
    of_organization = TrackedUser.objects.filter(organization=organization, external_id__in=by_id)
    known = set(of_organization.values_list("external_id", flat=True))
    created = TrackedUser.objects.bulk_create(
        TrackedUser(
            organization=organization,
            external_id=user.external_id,
            name=user.name,
            email=user.email,
            created_at=user.joined_at,
        )
        for user in by_id.values()
        if user.external_id not in known
    )
    RevenueChange.objects.bulk_create(
        RevenueChange(tracked_user=row, effective_at=at, monthly_revenue_usd=amount)
        for row in created
        for at, amount in by_id[row.external_id].revenue
    )
    return dict(of_organization.values_list("external_id", "pk"))
