"""The console that commands print on: rich on a terminal, plain wide lines in a file."""

from typing import IO, Any, cast

from rich.console import Console

_FILE_WIDTH = 160


def console_of(stdout: Any, *, no_color: bool) -> Console:
    """A console on a command's `stdout`; what is printed is text, never markup."""
    return Console(
        file=cast(IO[str], stdout),
        highlight=False,
        markup=False,
        soft_wrap=True,
        no_color=no_color,
        width=None if stdout.isatty() else _FILE_WIDTH,
    )
