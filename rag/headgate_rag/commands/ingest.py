"""``headgate ingest``: bring a collection up to date with its documents."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headgate_rag.ingest import IngestReport


def ingest(
    collection: Annotated[str, typer.Argument(help="Name of a collection of gateway.yaml.")],
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files and folders. None: the `sources` of the collection."),
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose documents these are.")] = "default",
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Fill a new index from these paths, then switch to it."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    config: Annotated[str | None, typer.Option("--config", help="Path of gateway.yaml.")] = None,
) -> None:
    """Read documents, cut them and bring the index up to date with them.

    Only what changed since the last time is embedded. Documents that vanished from below the
    paths are removed. A document that cannot be read is named and the rest goes on. An index
    that is missing or damaged on disk is built again.

    Exit codes: 0 all is in the index, 1 something is not, 2 usage or configuration.
    """
    from headgate_core.settings.load import find_config, load_settings
    from headgate_rag.commands.progress import showing
    from headgate_rag.ingest import ingest as run

    settings = load_settings(find_config(config))
    with showing(collection) as progress:
        report = asyncio.run(run(settings, collection, paths or [], tenant, rebuild, progress))
    typer.echo(json.dumps(report.as_json()) if as_json else _summary(report))
    for path, reason in report.unreadable.items():
        typer.echo(f"skipped {path}: {reason}", err=True)
    if report.waiting:
        typer.echo(_waiting(report), err=True)
    if not report.complete:
        raise typer.Exit(1)


def _summary(report: IngestReport) -> str:
    counts = (
        f"{len(report.added)} added, {len(report.updated)} updated, {report.unchanged} unchanged, "
        f"{len(report.removed)} removed, {len(report.unreadable)} unreadable"
    )
    tail = f"; {report.ignored} files are no documents" if report.ignored else ""
    again = "" if not report.damage or report.waiting else f"; {_again(report)}"
    return f"{report.collection}: {counts}; {report.chunks} chunks written{tail}{again}"


def _again(report: IngestReport) -> str:
    from headgate_rag.versions import NO_FOLDER

    if report.damage == NO_FOLDER:
        return "the index was missing and has been built again"
    return f"the index was damaged ({report.damage.rstrip('.')}) and has been built again"


def _waiting(report: IngestReport) -> str:
    names = ", ".join(report.waiting[:5])
    more = f" and {len(report.waiting) - 5} more" if len(report.waiting) > 5 else ""
    if report.damage:
        return (
            f"The index is missing or damaged ({report.damage.rstrip('.')}). A new one is filled "
            f"but not in use yet: the old one also held {names}{more}. Until those are ingested "
            "too, or given up with --rebuild, queries fail."
        )
    return (
        "A new index version is filled but not in use yet: queries are answered from the old one, "
        f"which also holds {names}{more}. Ingest those too, or give up your own with --rebuild."
    )
