"""The gateway's own commands."""

from __future__ import annotations

import typer

from headgate_gateway.commands import (
    ask,
    check,
    keys,
    plugins,
    score,
    serve,
    status,
    targets,
    traces,
)
from headgate_gateway.prompts import commands as prompts


def register(app: typer.Typer) -> None:
    """Add the gateway's commands to the command line."""
    for module in (serve, ask, check, status, targets, keys, prompts, traces, score, plugins):
        module.register(app)
