#!/usr/bin/env python
"""The command line of FluxGate: `manage.py help` lists the commands."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxgate_site.settings")
    from fluxgate_site import command_line

    command_line.run(sys.argv)


if __name__ == "__main__":
    main()
