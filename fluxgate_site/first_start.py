"""What stands between an empty data directory and a server that can be used: schema, prices, static files, a demo."""

import hashlib
import json
import os
import secrets
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.db import connections

DEMO_SLUG = "demo"
DEMO_OWNER = "owner@demo.example"
DEMO_EVENTS = 20_000
DEMO_DAYS = 90
DEMO_SEED = 7

Say = Callable[[str], None]


def prepare(say: Say) -> list[str]:
    """Bring everything up to date; each step is skipped when it is done. Returns the lines to print once it serves."""
    _migrate(say)
    _import_prices(say)
    _collect_static(say)
    lines = ["", f"FluxGate is ready: {settings.PUBLIC_URL}"]
    if settings.DEMO:
        lines += _demo(say)
    else:
        lines.append(
            "No demo data. Create an organization with: manage.py create_organization NAME --slug S --owner EMAIL"
        )
    connections.close_all()
    return [*lines, "Stop with Ctrl-C.", ""]


def _migrate(say: Say) -> None:
    from django.db.migrations.executor import MigrationExecutor

    from events import maintenance

    connection = connections["owner"]
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        say(f"Applying {len(plan)} migrations")
        call_command("migrate", database="owner", interactive=False, verbosity=0)
    with connections["default"].cursor() as cursor:
        # Before the first event can come: after a long stop it would go to the default partition, and stay there.
        cursor.execute(maintenance.CREATE_MONTHS_AHEAD)


_PRICES_WAIT = (
    "New prices change known ones, so the old ones stay until somebody approves:"
    " manage.py import_prices --dry-run shows what changes, manage.py import_prices --yes approves it."
)


def _import_prices(say: Say) -> None:
    """Import the lists that are not in the catalog yet. What somebody has to approve waits, with the old prices."""
    from pricing.catalog import current_revision
    from pricing.importers.store import is_imported, list_versions

    missing = ", ".join(
        f"{source} {version}" for source, version in list_versions() if not is_imported(source, version)
    )
    # What waits is not tried at every start: that reads the stored events it would re-price.
    waiting = settings.DATA_DIR / "prices_waiting"
    if not missing:
        waiting.unlink(missing_ok=True)
        return
    if waiting.exists() and waiting.read_text() == missing:
        say(_PRICES_WAIT)
        return
    from events.management.commands.import_prices import NeedsApproval

    is_first = current_revision() == 0
    say(f"Loading the price catalog ({missing})")
    try:
        # Nobody chooses between two lists while the first one is loaded.
        call_command("import_prices", interactive=False, no_cross_check=is_first, stdout=StringIO())
    except NeedsApproval:
        waiting.write_text(missing)
        say(_PRICES_WAIT)
    except CommandError as error:
        if is_first:
            raise
        say(f"The new prices could not be loaded, so the old ones stay. {error}")


def _collect_static(say: Say) -> None:
    """Gather and compress the static files, unless exactly these were gathered before."""
    digest = _static_digest()
    stamp = Path(settings.STATIC_ROOT) / ".gathered"
    if stamp.exists() and stamp.read_text() == digest:
        return
    say("Gathering static files")
    call_command("collectstatic", interactive=False, verbosity=0, clear=True)
    stamp.write_text(digest)


def _static_digest() -> str:
    """Changes when any static file does: its name, size, or time of change."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _demo(say: Say) -> list[str]:
    """The demo organization with its data, made when there is no organization at all; its sign-in and key as lines."""
    from events.models import Organization

    note = settings.DATA_DIR / "demo.json"
    if not Organization.objects.exists():
        say("Creating the demo organization")
        password = secrets.token_urlsafe(9)
        call_command(
            "create_organization",
            "Demo",
            slug=DEMO_SLUG,
            owner=DEMO_OWNER,
            password=password,
            superuser=True,
            stdout=StringIO(),
        )
        key = StringIO()
        call_command(
            "create_api_key", DEMO_SLUG, name="demo", scope=["events:write", "usage:write", "read"], stdout=key
        )
        _write_private(note, {"email": DEMO_OWNER, "password": password, "api_key": key.getvalue().strip()})
        say(f"Writing {DEMO_EVENTS:,} sample events, metered usage and invoices")
        call_command("seed_demo", organization=DEMO_SLUG, events=DEMO_EVENTS, days=DEMO_DAYS, seed=DEMO_SEED)
    if not note.exists():
        return []
    shown = json.loads(note.read_text())
    return [
        f"  sign in as  {shown['email']}  with  {shown['password']}",
        f"  API key     {shown['api_key']}",
    ]


def _write_private(path: Path, content: dict[str, str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
