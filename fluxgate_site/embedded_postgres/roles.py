"""The embedded database's roles and privileges, and what they are for.

| role | for | may |
|---|---|---|
| fluxgate_admin | the supervisor | everything (superuser) |
| fluxgate_owner | migrations, tests | change the schema of the database that it owns; create databases |
| fluxgate_app | the running application | read and write rows; neither owner nor superuser |
"""

from collections.abc import Callable
from typing import LiteralString

import psycopg
from psycopg import sql

ADMIN, OWNER, APP = "fluxgate_admin", "fluxgate_owner", "fluxgate_app"
DATABASE = "fluxgate"

_PRIVILEGES = """
REVOKE ALL ON DATABASE fluxgate FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE fluxgate TO fluxgate_app;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO fluxgate_app;
ALTER DEFAULT PRIVILEGES FOR ROLE fluxgate_owner GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO fluxgate_app;
ALTER DEFAULT PRIVILEGES FOR ROLE fluxgate_owner GRANT USAGE, SELECT ON SEQUENCES TO fluxgate_app;
ALTER DEFAULT PRIVILEGES FOR ROLE fluxgate_owner GRANT EXECUTE ON ROUTINES TO fluxgate_app;
ALTER ROLE fluxgate_app SET statement_timeout = '30s';
ALTER ROLE fluxgate_app SET lock_timeout = '5s';
ALTER ROLE fluxgate_app SET idle_in_transaction_session_timeout = '60s';
"""


def prepare(url: Callable[[str, str], str], password: Callable[[str], str]) -> None:
    """Bring roles, database and privileges to the state above, whatever an interrupted earlier call left.

    `url` gives the URL of a role and a database, `password` that of a role. Raises psycopg.Error.
    """
    with psycopg.connect(url(ADMIN, "postgres"), autocommit=True) as admin:
        _ensure_role(admin, OWNER, sql.SQL("LOGIN CREATEDB"), password(OWNER))
        if not _exists(admin, "SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            names = sql.Identifier(DATABASE), sql.Identifier(OWNER)
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(*names))
    # One transaction: whoever can sign in as the application finds everything in place.
    with psycopg.connect(url(ADMIN, DATABASE)) as admin:
        _ensure_role(admin, APP, sql.SQL("LOGIN NOCREATEDB"), password(APP))
        admin.execute(_PRIVILEGES)


def _ensure_role(admin: psycopg.Connection, name: str, attributes: sql.SQL, password: str) -> None:
    known = _exists(admin, "SELECT 1 FROM pg_roles WHERE rolname = %s", name)
    statement = sql.SQL("{} ROLE {} {} NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}")
    verb = sql.SQL("ALTER") if known else sql.SQL("CREATE")
    admin.execute(statement.format(verb, sql.Identifier(name), attributes, sql.Literal(password)))


def _exists(admin: psycopg.Connection, query: LiteralString, name: str) -> bool:
    return admin.execute(query, [name]).fetchone() is not None
