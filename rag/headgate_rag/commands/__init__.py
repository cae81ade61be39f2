"""Commands about documents: ``headgate ingest`` and ``headgate collections``."""

from __future__ import annotations

import typer

from headgate_rag.commands import collections, ingest


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("ingest")(ingest.ingest)
    app.command("collections")(collections.collections)
