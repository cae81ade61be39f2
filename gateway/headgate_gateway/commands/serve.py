"""``headgate serve``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headgate_gateway.commands.common import ConfigOption


def register(app: typer.Typer) -> None:
    """Add ``serve``."""
    app.command()(serve)


def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Instead of server.host.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Instead of server.port; 0 = a free one.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Instead of server.workers.")] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Once ready, print a first call to copy.")
    ] = False,
) -> None:
    """Start the gateway and serve until SIGTERM or Ctrl-C."""
    from headgate_core.settings.load import find_config
    from headgate_gateway.http.server import run_server

    path = find_config(config).absolute()
    given: dict[str, Any] = {"host": host, "port": port, "workers": workers}
    overrides = {k: v for k, v in given.items() if v is not None}
    raise typer.Exit(run_server(path, overrides, example=example))
