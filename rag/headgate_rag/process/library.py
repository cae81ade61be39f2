"""The index versions on disk: begun, opened, checked, switched. For the worker thread alone."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headgate_core import plugins
from headgate_core.errors import BrokenIndex, RetrievalFailed
from headgate_core.ids import uuid7
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.store import Store
from headgate_rag import versions
from headgate_rag.process.models import Models
from headgate_rag.types import EmbeddingModel, VectorIndex
from headgate_rag.versions import MANIFEST, POINTS, IndexVersion, Manifest

log = logging.getLogger("headgate.index")


@dataclass(frozen=True, slots=True)
class Opened:
    """An open index version, the model its vectors are of, and its folder."""

    row: IndexVersion
    folder: Path
    manifest: Manifest
    model: EmbeddingModel
    index: VectorIndex


class Library:
    """All index versions of one data directory. Every method blocks."""

    def __init__(self, data_dir: Path, models: Models) -> None:
        self._data_dir = data_dir
        self._models = models
        self._open: dict[str, Opened] = {}

    def begin(self, store: Store, collection: CollectionSettings, rebuild: bool) -> IndexVersion:
        """The version to write to, as ``IndexClient.begin_version`` describes it."""
        wanted = versions.fingerprint(collection)
        for row in versions.all_versions(store, collection.name):
            if not rebuild and row.fingerprint == wanted:
                return self.opened(store, collection, row.version).row
            if not row.current:  # begun for a configuration that is no longer wanted
                self._discard(store, collection.name, row)
        return self._create(store, collection, wanted)

    def _create(self, store: Store, collection: CollectionSettings, wanted: str) -> IndexVersion:
        model = self._models.get(collection.embedder)
        version = uuid7()
        row = IndexVersion(
            version=version,
            folder=f"indexes/{collection.name}/{version}",
            fingerprint=wanted,
            embedder=model.fingerprint[:300],
            dimension=model.dimension,
            current=False,
        )
        folder = self._data_dir / row.folder
        folder.mkdir(parents=True)
        manifest = Manifest(
            format=versions.FORMAT,
            embedder=collection.embedder,
            embedder_fingerprint=model.fingerprint,
            index=collection.index,
            tenancy=collection.tenancy,
            dimension=model.dimension,
        )
        index: VectorIndex = plugins.build("indexes", manifest.index.use, manifest.index.options)
        index.open(folder / POINTS, model.dimension)
        manifest.write(folder)
        # The row comes last: a row means that everything was there.
        versions.add_version(store, collection.name, row)
        self._open[version] = Opened(row, folder, manifest, model, index)
        return row

    def switch(self, store: Store, collection: CollectionSettings, version: str) -> IndexVersion:
        """Make ``version`` current, after counting it, and remove the others."""
        opened = self.opened(store, collection, version)
        recorded = versions.chunks_on_record(store, collection.name, version)
        found = opened.index.count()
        with naming(collection.name, opened.folder):
            if found < recorded:
                raise BrokenIndex(f"it holds {found} of the {recorded} chunks on record.")
        others = [
            row for row in versions.all_versions(store, collection.name) if row.version != version
        ]
        versions.make_current(store, collection.name, version)
        self._close(version)  # its row has changed
        for row in others:
            self._remove(row)
        self._sweep(store, collection.name)
        return self.opened(store, collection, version).row

    def opened(self, store: Store, collection: CollectionSettings, version: str = "") -> Opened:
        """An open version; empty = the current one. Raises ``RetrievalFailed``, ``BrokenIndex``."""
        row = self._row(store, collection.name, version)
        held = self._open.get(row.version)
        if held is not None and (held.folder / MANIFEST).is_file():
            return held
        self._close(row.version)
        folder = self._data_dir / row.folder
        with naming(collection.name, folder):
            opened = self._load(row, folder)
            recorded = versions.chunks_on_record(store, collection.name, row.version)
            if recorded and not opened.index.count():
                opened.index.close()
                raise BrokenIndex(f"it is empty, and {recorded} chunks are on record.")
        self._open[row.version] = opened
        return opened

    def _load(self, row: IndexVersion, folder: Path) -> Opened:
        manifest = Manifest.read(folder)
        if not (folder / POINTS).is_dir():
            raise BrokenIndex(f"there is no folder {POINTS!r} in it.")
        model = self._models.get(manifest.embedder)
        if model.fingerprint != manifest.embedder_fingerprint:
            raise BrokenIndex(
                f"it was made with the embedding model {manifest.embedder_fingerprint}, and "
                f"{manifest.embedder.use!r} is {model.fingerprint} now."
            )
        index: VectorIndex = plugins.build("indexes", manifest.index.use, manifest.index.options)
        index.open(folder / POINTS, manifest.dimension)
        return Opened(row, folder, manifest, model, index)

    def _row(self, store: Store, collection: str, version: str) -> IndexVersion:
        for row in versions.all_versions(store, collection):
            if row.version == version or (not version and row.current):
                return row
        what = f"version {version} of collection" if version else "index of collection"
        raise RetrievalFailed(
            f"There is no {what} {collection!r}: run `headgate ingest {collection}` first."
        )

    def names(self) -> list[str]:
        """The folders of the versions that are open."""
        return [str(opened.folder) for opened in self._open.values()]

    def close(self) -> None:
        """Flush and close everything."""
        for version in list(self._open):
            self._close(version)

    def _close(self, version: str) -> None:
        opened = self._open.pop(version, None)
        if opened is not None:
            opened.index.close()

    def _discard(self, store: Store, collection: str, row: IndexVersion) -> None:
        versions.remove_version(store, collection, row.version)
        self._remove(row)

    def _remove(self, row: IndexVersion) -> None:
        self._close(row.version)
        folder = self._data_dir / row.folder
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s is no longer used and cannot be removed: %s", folder, error)

    def _sweep(self, store: Store, collection: str) -> None:
        """Remove folders without a row: what a process that was killed left half-made."""
        known = {row.version for row in versions.all_versions(store, collection)}
        for folder in (self._data_dir / "indexes" / collection).iterdir():
            if folder.is_dir() and folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def naming(collection: str, folder: Path) -> Iterator[None]:
    """Completes a ``BrokenIndex`` by what is broken and what to do."""
    try:
        yield
    except BrokenIndex as error:
        raise BrokenIndex(
            f"The index of collection {collection!r} in {folder} is broken: {error.message} "
            f"Run `headgate ingest {collection} --rebuild`."
        ) from error
