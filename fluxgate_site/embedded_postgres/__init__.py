"""The embedded database: PostgreSQL's own programs, supervised by the process that serves FluxGate.

Everything of one installation lies in its data directory:

    server.lock, clients.lock   who runs the database, who uses it
    passwords/                  one file (0600) per role, made when first asked for
    postgres-start.log          what initdb or the last start said before the log was open
    postgres/                   0700, owned by PostgreSQL's user: data/ (PGDATA), socket/, log/ (one file per weekday)

Decisions:

- `postgres` is a direct child with a death signal: however the supervisor dies, the kernel tells PostgreSQL to shut
  down. There is no pg_ctl, no TCP port, and no way in but the socket and a password.
- Started as root, PostgreSQL runs as an unprivileged account (account.py). That account need not be able to walk
  down to the data directory, which therefore may be under /root: PostgreSQL is started inside PGDATA and knows it as
  /proc/self/cwd, and the rest as ../socket and ../log, which takes no access to any directory above. Its programs are
  copied once to /var/lib/fluxgate if they cannot be reached (binaries.py).
- A socket's path has room for about a hundred bytes. Where the data directory's is longer, the socket lies in
  /run/fluxgate-<hash> (root) or /tmp/fluxgate-<uid>-<hash>, 0700 and refused if somebody else owns it.
- The first start is atomic: initdb works in postgres/new-<random>, which becomes postgres/data when it is complete;
  roles and privileges are brought to their state on every start.

No Django here: the settings import it.
"""

from fluxgate_site.embedded_postgres.cluster import Cluster, ClusterError
from fluxgate_site.embedded_postgres.lock import ClusterInUse
from fluxgate_site.embedded_postgres.server import Server, available, is_running, running

__all__ = ["Cluster", "ClusterError", "ClusterInUse", "Server", "available", "is_running", "running"]
