"""Runs management commands with the database at hand: the embedded one is started if it is not running."""

import sys

from django.conf import settings
from django.core.management import execute_from_command_line

from fluxgate_site import embedded_postgres

WITHOUT_DATABASE = frozenset(
    {
        "",
        "serve",
        "jobs",  # `serve` starts it, and the database with it
        "help",
        "--help",
        "-h",
        "--version",
        "version",
        "check",
        "collectstatic",
        "findstatic",
        "makemigrations",
    }
)


def run(arguments: list[str]) -> None:
    """Execute the command, as `manage.py` does."""
    command = arguments[1] if len(arguments) > 1 else ""
    if command in WITHOUT_DATABASE or "--help" in arguments or settings.EMBEDDED_CLUSTER is None:
        execute_from_command_line(arguments)
        return
    try:
        with embedded_postgres.available(settings.EMBEDDED_CLUSTER):
            execute_from_command_line(arguments)
    except embedded_postgres.ClusterError as error:
        sys.exit(str(error))
