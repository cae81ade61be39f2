"""How an ingestion goes on, on standard error: a bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from headgate_rag.ingest import Progress

EVERY_DOCUMENTS = 10
EVERY_S = 10.0


@contextmanager
def showing(collection: str) -> Iterator[Progress]:
    """What ``ingest`` tells while it works on ``collection``; a bar is gone at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(collection)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield _Bar(bar, bar.add_task("reading", total=None))


class _Bar:
    """Told by ``ingest``, shows it as a bar."""

    def __init__(self, bar: RichProgress, task: TaskID) -> None:
        self._bar = bar
        self._task = task

    def loading(self, embedder: str) -> None:
        """Above the bar, so that it stays to be read."""
        self._bar.console.print(_loading(embedder), highlight=False, markup=False)

    def document(self, done: int, total: int, path: str) -> None:
        """Move the bar on."""
        self._bar.update(self._task, completed=done, total=total, description=path)


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)


class Lines:
    """A line every ten documents or every ten seconds, and one when all are done.

    ``clock`` gives seconds from any beginning on.
    """

    def __init__(
        self,
        collection: str,
        write: Callable[[str], None] = _to_stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collection = collection
        self._write = write
        self._clock = clock
        self._last = clock()

    def loading(self, embedder: str) -> None:
        """Say why nothing else is said for a while."""
        self._write(_loading(embedder))

    def document(self, done: int, total: int, _path: str) -> None:
        """Say how far it is, if it is time."""
        now = self._clock()
        if done % EVERY_DOCUMENTS and done < total and now - self._last < EVERY_S:
            return
        self._last = now
        self._write(f"{self._collection}: {done} of {total} documents")


def _loading(embedder: str) -> str:
    return f"loading the embedding model {embedder} ..."
