"""What the tests of prices share."""

import pytest
from django.db import connection


@pytest.fixture
def no_prices(db: None) -> None:
    """No prices at all until the end of the test: those of the installed lists take seconds to read and to compare."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE pricing_revision, pricing_provider CASCADE")
