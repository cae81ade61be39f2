"""``headgate``: the entry point. What a command needs is loaded once it is known which one."""

from __future__ import annotations

import sys

from headgate_gateway.version import version_line


def run(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    if (sys.argv[1:] if arguments is None else arguments) == ["--version"]:
        print(version_line())  # at once: loading the commands takes longer than all the rest
        return 0
    from headgate_gateway.command_line import run_command

    return run_command(arguments)


def main() -> None:
    """Entry point of the ``headgate`` script."""
    sys.exit(run())
