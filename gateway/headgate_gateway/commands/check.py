"""``headgate check``: validate without starting."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate_gateway.commands.common import ConfigOption, settings_of


def register(app: typer.Typer) -> None:
    """Add ``check``."""
    app.command()(check)


def check(
    config: ConfigOption = None,
    show: Annotated[
        str | None, typer.Option(metavar="ROUTE", help="Print the compiled route.")
    ] = None,
    egress: Annotated[bool, typer.Option(help="Print every host that a route can reach.")] = False,
) -> None:
    """Check the configuration and everything that it names; nothing is started."""
    settings = settings_of(config)
    from headgate_gateway.inspect import compiled, egress_lines, show_lines

    plans = compiled(settings)
    if show is not None:
        for line in show_lines(settings, plans, show):
            typer.echo(line)
    if egress:
        for line in egress_lines(settings):
            typer.echo(line)
    if show is None and not egress:
        routes = len(settings.routes)
        typer.echo(f"{settings.path}: ok ({routes} routes, {len(settings.pools)} pools)")
