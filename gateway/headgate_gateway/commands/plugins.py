"""``headgate plugins``."""

from __future__ import annotations

import typer

from headgate_gateway.commands.common import JsonOption


def register(app: typer.Typer) -> None:
    """Add ``plugins``."""
    app.command(name="plugins")(list_plugins)


def list_plugins(as_json: JsonOption = False) -> None:
    """Every plugin there is: kind, name, one line, options with their defaults."""
    from headgate_core.plugins import describe

    infos = list(describe())
    if as_json:
        import orjson

        typer.echo(orjson.dumps([i._asdict() for i in infos], option=orjson.OPT_INDENT_2).decode())
        return
    for info in infos:
        typer.echo(f"{info.kind:<12}{info.name:<24}{info.summary}")
        for name, what in info.options.items():
            typer.echo(f"{'':<36}{name}: {what}")
