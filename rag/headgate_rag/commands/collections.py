"""``headgate collections``: what is configured and what is in it."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def collections(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: Annotated[str | None, typer.Option("--config", help="Path of gateway.yaml.")] = None,
) -> None:
    """List the collections: documents and chunks of the index version that answers queries."""
    from headgate_core.settings.load import find_config, load_settings
    from headgate_core.store import Store
    from headgate_rag.catalogue import Catalogue

    settings = load_settings(find_config(config))
    store = Store.open(settings.store.url)
    try:
        found = [(c, Catalogue(store, c.name).counts()) for c in settings.collections]
    finally:
        store.close()
    rows: list[dict[str, str | int]] = [
        {
            "name": collection.name,
            "documents": counts.documents,
            "chunks": counts.chunks,
            "embedder": counts.embedder or collection.embedder.use,
            "version": counts.version,
        }
        for collection, counts in found
    ]
    typer.echo(json.dumps(rows) if as_json else _table(rows))


def _cell(value: str) -> str:
    """A fingerprint ``name@digest`` by its first twelve digits; nothing as what it means."""
    name, mark, digest = value.partition("@")
    return f"{name}{mark}{digest[:12]}" or "not ingested yet"


def _table(rows: list[dict[str, str | int]]) -> str:
    if not rows:
        return "No collections. Add one under `collections` in gateway.yaml."
    names = ("name", "documents", "chunks", "embedder", "version")
    lines = [names, *(tuple(_cell(str(row[n])) for n in names) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
