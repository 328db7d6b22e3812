"""The ingest application in this process, with a real database behind it."""

from collections.abc import Iterator

import pytest

from events.ingest import Ingest
from events.models import Organization
from pricing.catalog import Catalog
from tests.native_client import NativeClient, make_key, opened


@pytest.fixture
def ingest(committed_db: None, catalog: Catalog) -> Iterator[NativeClient]:
    """An organization with a key, and the application that takes its events."""
    organization = Organization.objects.create(name="Acme", slug="acme", time_zone="Asia/Kolkata")
    key = make_key(organization)
    with opened(catalog) as (runner, runtime):
        yield NativeClient(runner, runtime, Ingest(runtime).routes(), key, organization)
