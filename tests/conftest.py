"""What all tests share: a PostgreSQL server, a database with the price catalog, and tables that start empty."""

import gc
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from pricing.catalog import Catalog, current_revision
from pricing.catalog import load as load_catalog

# pytest-xdist's controller runs no tests; its environment reaches the workers.
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_server = ExitStack()

# Machines of CI are slow and shared: no example is judged by the clock, and every run sees the same examples.
hypothesis.settings.register_profile(
    "fluxgate", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("fluxgate")

UNMANAGED_TABLES = (
    "event",
    "idempotency_key",
    "usage_delta",
    "usage_hour",
    "usage_day",
    "usage_day_cell",
    "usage_day_user",
    "usage_month_user",
    "usage_day_latency",
    "usage_day_user_feature",
    "usage_dekad_user",
    "usage_dekad_user_feature",
    "usage_day_stream",
    "usage_revision",
    "reprice_job",
    "event_cost_history",
    "usage_record",
    "procrastinate_jobs",
    "procrastinate_workers",
)
REVISIONED_TABLES = (
    "pricing_rate_card",
    "pricing_model_alias",
    "pricing_provider_alias",
    "pricing_provider_terms",
    "pricing_tier_policy",
)


FIRST = (
    "browser",
    "tests/dashboard/test_access.py",
    "tests/events/test_import_prices.py",
    "server",
    "tests/events/test_repricing.py",
    "sdk/tests/test_typing.py",
)
"""What would otherwise come late, for how few tests it has, and then run alone while the other processes are done.

Browser and servers both wait for the one first start of a server that they copy: whoever runs the latter has something
else to do meanwhile.
"""

# Nothing that this server stores outlives the run. Those whose power the tests cut off keep all that FluxGate sets.
NOTHING_TO_LOSE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # untyped
    """Hands whole files to the worker processes, and what drives a browser or real servers to one process each.

    In place of `--dist loadgroup`, which with pytest 9.2 takes no notice of a test's group: each process then makes
    its own demo server, and two meet in what only one may use at a time.
    """

    def _assign_work_unit(self, node: Any) -> None:
        for scope in reversed(FIRST):
            if scope in self.workqueue:
                self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        if path.startswith("tests/browser/"):
            return "browser"
        if Path(path).parent == Path("tests") or path == "tests/fluxgate_site/test_serve.py":
            return "server"
        return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if settings.EMBEDDED_CLUSTER and not IS_WORKER:
        from fluxgate_site.embedded_postgres import server

        with pytest.MonkeyPatch.context() as patch:
            for name, value in NOTHING_TO_LOSE.items():
                patch.setitem(server._SETTINGS, name, value)
            _server.enter_context(server.running(settings.EMBEDDED_CLUSTER))


def pytest_unconfigure(config: pytest.Config) -> None:
    _server.close()
    if settings.EMBEDDED_CLUSTER and not IS_WORKER:
        shutil.rmtree(Path(settings.DATA_DIR), ignore_errors=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Take what importing and collecting made, which stays to the end, out of what the garbage collector goes through.

    It would do so thousands of times: a fifteenth of all time. Younger garbage it still looks for, less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The test database with the price catalog in it, made once.

    In place of pytest-django's own, which makes no database where no test has its mark: `committed_db` has none.
    """
    from pricing.importers.store import import_all

    with django_db_blocker.unblock():
        databases = setup_databases(verbosity=0, interactive=False)
        import_all()
    yield
    with django_db_blocker.unblock():
        teardown_databases(databases, verbosity=0)


@pytest.fixture(scope="session")
def catalog(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Catalog:
    """The catalog that the session's set-up imported."""
    with django_db_blocker.unblock():
        return load_catalog()


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database without a transaction around the test, for code that commits on connections of its own.

    The tables of `events` are emptied afterwards; the price catalog stays as the session's set-up made it, which
    Django's own flush would remove.
    """
    with django_db_blocker.unblock():
        imported = current_revision()
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(UNMANAGED_TABLES)}, organization, person CASCADE")
            if current_revision() != imported:
                _forget_revisions_after(imported, cursor)
        connection.close()


def _forget_revisions_after(revision: int, cursor: Any) -> None:
    for table, parent, column in (
        ("pricing_rate", "pricing_rate_card", "card_id"),
        ("pricing_tier_factor", "pricing_tier_policy", "policy_id"),
    ):
        newer = f"SELECT id FROM {parent} WHERE created_revision_id > %s"
        cursor.execute(f"DELETE FROM {table} WHERE {column} IN ({newer})", [revision])
    for table in REVISIONED_TABLES:
        cursor.execute(f"DELETE FROM {table} WHERE created_revision_id > %s", [revision])
        cursor.execute(
            f"UPDATE {table} SET superseded_revision_id = NULL WHERE superseded_revision_id > %s", [revision]
        )
    for statement in (
        "UPDATE pricing_model SET dropped_revision_id = NULL WHERE dropped_revision_id > %s",
        "DELETE FROM pricing_snapshot WHERE imported_revision_id > %s",
        "UPDATE pricing_revision SET retracts_id = NULL WHERE id > %s",
        "DELETE FROM pricing_revision WHERE id > %s",
    ):
        cursor.execute(statement, [revision])
    cursor.execute(
        """DELETE FROM pricing_model m WHERE NOT EXISTS (SELECT FROM pricing_model_alias WHERE model_id = m.id)
    AND NOT EXISTS (SELECT FROM pricing_rate_card WHERE model_id = m.id);
DELETE FROM pricing_provider p WHERE NOT EXISTS (SELECT FROM pricing_provider_terms WHERE provider_id = p.slug)"""
    )
