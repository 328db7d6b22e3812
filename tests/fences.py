"""Waiting until somebody else waits: for tests of what happens between a look and a commit."""

from django.db import connection


def wait_until_blocked() -> None:
    """Until somebody waits for an advisory lock. To be called in a thread: it closes its connection."""
    try:
        with connection.cursor() as cursor:
            while True:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                if cursor.fetchone()[0]:
                    return
    finally:
        connection.close()
