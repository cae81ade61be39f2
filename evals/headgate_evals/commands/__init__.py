"""Commands about evaluation: ``headgate eval``."""

from __future__ import annotations

import typer

from headgate_evals.commands import list_suites, run


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(
        name="eval",
        help="Run suites of cases through the gateway's own pipeline, and list them.",
        no_args_is_help=True,
    )
    group.command("run")(run.run)
    group.command("list")(list_suites.list_suites)
    app.add_typer(group)
