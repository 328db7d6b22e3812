"""How the catalog changes: one change at a time, each a revision, and no event priced by the one before slips through.

Every transaction that stores events holds the fence, shared, and compares its revision with the current one (see
`events/writer.py`). A change takes the fence alone, last thing before its commit: so whatever is stored after the
commit carries the new revision, and whatever was stored before it can be seen by the re-pricing that follows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from pricing.models import PricingRevision

# Any constants: they only have to differ from the other advisory locks of the application.
_CATALOG_LOCK = 0x5072_6963_6573
FENCE_LOCK = 0x5072_6963_6574


@contextmanager
def catalog_locked(*, dry_run: bool = False) -> Iterator[None]:
    """A transaction that alone may change the catalog; a dry run undoes all of it at its end."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Two changes at once would both see the same state, and the second one would fail on its constraints.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CATALOG_LOCK])
        yield
        if dry_run:
            transaction.set_rollback(True)
        else:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FENCE_LOCK])


def new_revision(
    kind: str,
    note: str,
    *,
    now: datetime,
    summary: dict[str, Any] | None = None,
    author_id: int | None = None,
    organization_id: int | None = None,
    retracts: PricingRevision | None = None,
) -> PricingRevision:
    """The audit row of a change: who, when, why, what. To be made under `catalog_locked`."""
    return PricingRevision.objects.create(
        created_at=now,
        kind=kind,
        note=note,
        summary=summary or {},
        author_id=author_id,
        organization_id=organization_id,
        retracts=retracts,
    )


def hold_fence(revision: int) -> bool:
    """Whether `revision` is current, and stays so until the caller's transaction ends: for its last statements.

    A long transaction asks here at its end; holding the fence from its start would keep every change, and behind the
    change every other writer, waiting.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [FENCE_LOCK])
        cursor.execute("SELECT coalesce(max(id), 0) FROM pricing_revision")
        return bool(cursor.fetchone()[0] == revision)
