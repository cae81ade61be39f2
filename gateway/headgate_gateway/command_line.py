"""Loads every component's commands and runs one: one border for errors and exit codes."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import Annotated

import click
import typer

from headgate_core.errors import HeadgateError
from headgate_core.settings.environment import quiet_dependencies
from headgate_gateway.version import version_line

INTERRUPTED = 130


def _version(asked: bool) -> None:
    if asked:
        typer.echo(version_line())
        raise typer.Exit


def build_app() -> typer.Typer:
    """The command line with the commands of all installed components."""
    app = typer.Typer(
        name="headgate",
        help="An LLM gateway and evaluation service: one call, one pipeline, one record.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        show_version: Annotated[
            bool,
            typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
        ] = False,
    ) -> None:
        """An LLM gateway and evaluation service: one call, one pipeline, one record."""

    for point in sorted(entry_points(group="headgate.commands"), key=lambda p: p.name):
        point.load()(app)
    return app


def run_command(arguments: list[str] | None) -> int:
    """Run one command line (None = this process's own) and return its exit code."""
    quiet_dependencies()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        command = typer.main.get_command(build_app())
        result = command.main(args=arguments, prog_name="headgate", standalone_mode=False)
    except HeadgateError as error:
        click.echo(f"headgate: {error}", err=True)
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("headgate: interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, EOFError):
        click.echo("headgate: interrupted", err=True)
        return INTERRUPTED
    return result if isinstance(result, int) else 0
