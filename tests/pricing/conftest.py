import pytest
from pytest_django import DjangoDbBlocker

from pricing.catalog import Catalog, load


@pytest.fixture(scope="session")
def catalog(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Catalog:
    """The catalog that the session's set-up imported."""
    with django_db_blocker.unblock():
        return load()
