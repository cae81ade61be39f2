"""Ingestion: documents in, only what changed is embedded, and any interruption can be repeated.

A document's row is written after its chunks are in the index, so that a run that was cut short
repeats at most the document it was at.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headgate_core import plugins
from headgate_core.errors import ConfigurationError, InvalidRequest
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.store import Store
from headgate_rag.catalogue import Catalogue, Row
from headgate_rag.client import IndexClient
from headgate_rag.documents import Found, SourceFile, UnreadableDocument, find_documents, load
from headgate_rag.tenancy import stored_tenant
from headgate_rag.types import Chunk, Chunker
from headgate_rag.versions import (
    IndexVersion,
    all_versions,
    current_version,
    damage,
    fingerprint,
)

REVISION = "1"
"""Part of every content hash: another one, and every document is read and cut anew."""


class Progress(Protocol):
    """Told how a run goes on."""

    def loading(self, embedder: str) -> None:
        """The embedding model has to be loaded first, which takes a while."""
        ...

    def document(self, done: int, total: int, path: str) -> None:
        """``path`` is written: ``done`` of the ``total`` documents that had to be."""
        ...


@dataclass(slots=True)
class IngestReport:
    """What one run did. ``chunks``: written by this run; ``waiting``: keep a new version back.

    ``damage``: what was wrong with the index, which made this run fill a new one; mostly empty.
    """

    collection: str
    version: str = ""
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    ignored: int = 0
    chunks: int = 0
    waiting: list[str] = field(default_factory=list)
    damage: str = ""

    @property
    def complete(self) -> bool:
        """Everything found is in the index that answers queries."""
        return not self.unreadable and not self.waiting

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {**asdict(self), "complete": self.complete}


@dataclass(frozen=True, slots=True)
class _Item:
    source: SourceFile
    content_hash: str


@dataclass(slots=True)
class _Run:
    """One run's tools: the collection and where it is written to."""

    settings: CollectionSettings
    data_dir: Path
    tenant: str
    catalogue: Catalogue
    client: IndexClient
    chunker: Chunker
    report: IngestReport


async def ingest(
    settings: GatewaySettings,
    collection: str,
    paths: Sequence[Path],
    tenant: str,
    rebuild: bool,
    progress: Progress | None = None,
) -> IngestReport:
    """Bring ``collection`` up to date with the documents below ``paths`` (none: its sources).

    Unchanged documents cost nothing, and where all are unchanged the index process is not
    started. Where the index's files are missing or visibly damaged, all documents are ingested
    into a new version. A document that vanished from below ``paths`` is removed; one that cannot
    be read is named in the report and the rest goes on. After another embedder, chunker or index
    was configured, or with ``rebuild``, a new version is filled beside the current one and takes
    its place once it holds all that the current one does. Raises ``ConfigurationError``,
    ``NoSuchPath``, ``StoreError``, ``BrokenIndex``.
    """
    chosen = find_collection(settings, collection)
    roots = list(paths) or chosen.sources
    if not roots:
        raise InvalidRequest(
            f"collection {collection!r} has no `sources`. Name files or folders to ingest."
        )
    found = await asyncio.to_thread(find_documents, roots, chosen.sources)
    store = await asyncio.to_thread(Store.open, settings.store.url)
    run = _Run(
        settings=chosen,
        data_dir=settings.data_dir,
        tenant=stored_tenant(chosen, tenant),
        catalogue=Catalogue(store, collection),
        client=IndexClient(settings),
        chunker=plugins.build("chunkers", chosen.chunker.use, chosen.chunker.options),
        report=IngestReport(collection, ignored=found.ignored),
    )
    try:
        await _ingest(run, store, found, rebuild, progress)
    finally:
        await run.client.close()
        await asyncio.to_thread(store.close)
    return run.report


def find_collection(settings: GatewaySettings, name: str) -> CollectionSettings:
    """The collection of that name. Raises ``ConfigurationError`` listing those there are."""
    for collection in settings.collections:
        if collection.name == name:
            return collection
    known = [c.name for c in settings.collections]
    raise ConfigurationError(plugins.unknown("collection", name, known))


async def _ingest(
    run: _Run, store: Store, found: Found, rebuild: bool, progress: Progress | None
) -> None:
    items = await asyncio.to_thread(_hashed, run, found)
    target, before = await asyncio.to_thread(_stored, run, store)
    broken = target is not None and bool(await asyncio.to_thread(_damage, run, target))
    anew = rebuild or broken
    if target and target.current and not anew and not _work(run, found, items, before):
        run.report.version = target.version
        run.report.unchanged = len(items)
        return
    if progress:
        await _announce(run, progress)
    version = (await run.client.begin_version(run.settings.name, anew)).version
    run.report.version = version
    rows = await asyncio.to_thread(run.catalogue.rows, version)
    await _write(run, version, items, rows, progress)
    await _remove_vanished(run, version, found, rows)
    missing = await asyncio.to_thread(_missing, run, version, before)
    gone = [r for r in missing if r.tenant == run.tenant and (rebuild or found.covers(r.path))]
    await asyncio.to_thread(_give_up, run, store, gone)
    run.report.waiting = [_named(run, row) for row in missing if row not in gone]
    if not run.report.waiting:
        await run.client.switch_version(run.settings.name, version)


def _stored(run: _Run, store: Store) -> tuple[IndexVersion | None, list[Row]]:
    """The version that fits the configuration, if any, and the documents of the current one."""
    wanted = fingerprint(run.settings)
    known = all_versions(store, run.settings.name)
    target = next((v for v in known if v.fingerprint == wanted), None)
    current = next((v for v in known if v.current), None)
    if current is None:
        return target, []
    run.report.damage = _damage(run, current)
    return target, run.catalogue.rows(current.version)


def _damage(run: _Run, version: IndexVersion) -> str:
    return damage(run.data_dir / version.folder)


async def _announce(run: _Run, progress: Progress) -> None:
    """Say that the model is loaded first, unless the index process has it already."""
    use = run.settings.embedder
    model = await asyncio.to_thread(plugins.build, "embedders", use.use, use.options)
    if model.fingerprint not in (await run.client.status())["models"]:
        progress.loading(use.use)


def _hashed(run: _Run, found: Found) -> list[_Item]:
    items = []
    for source in found.files:
        try:
            data = source.file.read_bytes()
        except OSError as error:
            run.report.unreadable[source.path] = f"it cannot be opened: {error.strerror}."
            continue
        digest = hashlib.sha256(REVISION.encode() + b"\0" + data).hexdigest()
        items.append(_Item(source, digest))
    return items


def _work(run: _Run, found: Found, items: list[_Item], rows: list[Row]) -> bool:
    """Whether any document has to be written or removed."""
    known = {row.path: row.content_hash for row in rows if row.tenant == run.tenant}
    return bool(_vanished(run, found, rows)) or any(
        known.get(item.source.path) != item.content_hash for item in items
    )


def _vanished(run: _Run, found: Found, rows: list[Row]) -> list[str]:
    there = {source.path for source in found.files}
    return [
        row.path
        for row in rows
        if row.tenant == run.tenant and row.path not in there and found.covers(row.path)
    ]


async def _write(
    run: _Run, version: str, items: list[_Item], rows: list[Row], progress: Progress | None
) -> None:
    known = {row.path: row.content_hash for row in rows if row.tenant == run.tenant}
    changed = [item for item in items if known.get(item.source.path) != item.content_hash]
    run.report.unchanged = len(items) - len(changed)
    for done, item in enumerate(changed, start=1):
        try:
            chunks, title = await asyncio.to_thread(_cut, run.chunker, item.source)
        except UnreadableDocument as error:
            run.report.unreadable[error.path] = error.reason
            continue
        path = item.source.path
        await run.client.replace(run.settings.name, run.tenant, path, chunks, version)
        row = Row(run.tenant, path, item.content_hash, title, len(chunks))
        await asyncio.to_thread(run.catalogue.put, version, row)
        (run.report.updated if path in known else run.report.added).append(path)
        run.report.chunks += len(chunks)
        if progress:
            progress.document(done, len(changed), path)


def _cut(chunker: Chunker, source: SourceFile) -> tuple[list[Chunk], str]:
    document = load(source)
    return chunker.cut(document), document.title


async def _remove_vanished(run: _Run, version: str, found: Found, rows: list[Row]) -> None:
    for path in _vanished(run, found, rows):
        await run.client.delete(run.settings.name, run.tenant, path, version)
        await asyncio.to_thread(run.catalogue.remove, version, run.tenant, path)
        run.report.removed.append(path)


def _missing(run: _Run, version: str, before: list[Row]) -> list[Row]:
    """Documents of the version that answers queries which ``version`` does not hold."""
    there = {(row.tenant, row.path) for row in run.catalogue.rows(version)}
    return [row for row in before if (row.tenant, row.path) not in there]


def _give_up(run: _Run, store: Store, gone: list[Row]) -> None:
    """Forget documents that the new version is not to hold, so that no later run waits for them.

    They vanished, cannot be read, or lie outside the paths of a ``rebuild``.
    """
    current = current_version(store, run.settings.name)
    for row in gone:
        if current:
            run.catalogue.remove(current.version, row.tenant, row.path)
        if row.path not in {*run.report.removed, *run.report.unreadable}:
            run.report.removed.append(row.path)


def _named(run: _Run, row: Row) -> str:
    return row.path if row.tenant == run.tenant else f"{row.path} (tenant {row.tenant})"
