"""What all tests share: a PostgreSQL server, a database with the price catalog, and tables that start empty."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from pytest_django import DjangoDbBlocker

from pricing.catalog import Catalog
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
    "usage_revision",
)


def pytest_configure(config: pytest.Config) -> None:
    if settings.EMBEDDED_CLUSTER and not IS_WORKER:
        from fluxgate_site import embedded_postgres

        _server.enter_context(embedded_postgres.running(settings.EMBEDDED_CLUSTER))


def pytest_unconfigure(config: pytest.Config) -> None:
    _server.close()
    if settings.EMBEDDED_CLUSTER and not IS_WORKER:
        shutil.rmtree(Path(settings.DATA_DIR), ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """The test database with the price catalog in it, made once.

    In place of pytest-django's own, which makes no database where no test has its mark: `committed_db` has none.
    """
    from pricing.importers.store import import_genai_prices

    with django_db_blocker.unblock():
        databases = setup_databases(verbosity=0, interactive=False)
        import_genai_prices()
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

    The tables of `events` are emptied afterwards; the price catalog stays, which Django's own flush would remove.
    """
    with django_db_blocker.unblock():
        yield
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(UNMANAGED_TABLES)}, organization, person CASCADE")
        connection.close()
