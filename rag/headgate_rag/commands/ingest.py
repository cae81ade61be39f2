"""``headgate ingest``: bring a collection up to date with its documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headgate_rag.ingest import IngestReport, Progress


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
    paths are removed. A document that cannot be read is named and the rest goes on.

    Exit codes: 0 all is in the index, 1 something is not, 2 usage or configuration.
    """
    from headgate_core.settings.load import find_config, load_settings
    from headgate_rag.ingest import ingest as run

    settings = load_settings(find_config(config))
    with _progress() as progress:
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
    return f"{report.collection}: {counts}; {report.chunks} chunks written{tail}"


def _waiting(report: IngestReport) -> str:
    names = ", ".join(report.waiting[:5])
    more = f" and {len(report.waiting) - 5} more" if len(report.waiting) > 5 else ""
    return (
        "A new index version is filled but not in use yet: queries are answered from the old one, "
        f"which also holds {names}{more}. Ingest those too, or give up your own with --rebuild."
    )


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A bar on standard error, at a terminal only; it shows from the first document on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def show(done: int, total: int, path: str) -> None:
            bar.update(task, completed=done, total=total, description=path)

        yield show
