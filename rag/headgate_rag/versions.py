"""Versions of a collection's index: their rows in the store, and the manifest in their folder.

A collection has at most one current version, which answers queries. A new one is filled beside it
whenever the fingerprint that the configuration asks for is another one. Only the index process
writes these rows.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ValidationError
from sqlalchemy import Select, delete, insert, select, update

from headgate_core import plugins
from headgate_core.errors import BrokenIndex
from headgate_core.settings.base import PluginUse, Settings
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.store import Store
from headgate_core.store.tables import documents, index_versions

FORMAT = 1
"""Of what is stored; part of every fingerprint."""

MANIFEST = "version.json"
"""The file in a version's folder that says what its points were made with."""

POINTS = "points"
"""The part of a version's folder that belongs to the index plugin."""


NO_FOLDER = "its folder is missing."
"""The damage of an index that is not there at all, as after restoring a backup without it."""


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """One version of a collection's index. ``current``: queries are answered from it.

    ``folder`` is relative to the data directory; ``embedder`` is the fingerprint of the model.
    """

    version: str
    folder: str
    fingerprint: str
    embedder: str
    dimension: int
    current: bool


class Manifest(Settings):
    """What the points of a version were made with, so that queries are made with the same."""

    format: Literal[1]
    embedder: PluginUse
    embedder_fingerprint: str
    index: PluginUse
    tenancy: str
    dimension: int

    def write(self, folder: Path) -> None:
        """Write it into a version's folder."""
        (folder / MANIFEST).write_bytes(orjson.dumps(self.model_dump()))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read it. Raises ``BrokenIndex`` when it is missing or not what was written."""
        try:
            return cls.model_validate_json((folder / MANIFEST).read_bytes())
        except OSError as error:
            raise BrokenIndex(f"{MANIFEST} cannot be read ({error.strerror}).") from error
        except ValidationError as error:
            raise BrokenIndex(f"{MANIFEST} is not what was written there.") from error


def damage(folder: Path) -> str:
    """What is visibly wrong with a version's folder, as a sentence; empty where nothing is.

    Looks at files alone: no engine and no model is loaded. Blocks.
    """
    if not folder.is_dir():
        return NO_FOLDER
    try:
        manifest = Manifest.read(folder)
    except BrokenIndex as error:
        return error.message
    if not (folder / POINTS).is_dir():
        return f"there is no folder {POINTS!r} in it."
    index = plugins.build("indexes", manifest.index.use, manifest.index.options)
    look = getattr(index, "damage", None)
    return str(look(folder / POINTS)) if look is not None else ""


def fingerprint(collection: CollectionSettings) -> str:
    """What the configuration asks for: embedding model, index, chunker, tenancy. Loads no model."""
    embedder = plugins.build("embedders", collection.embedder.use, collection.embedder.options)
    parts: list[Any] = [
        FORMAT,
        embedder.fingerprint,
        collection.index.model_dump(),
        collection.chunker.model_dump(),
        collection.tenancy,
    ]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()


def all_versions(store: Store, collection: str) -> list[IndexVersion]:
    """All versions of a collection, newest first. Blocks."""
    with store.begin() as db:
        return [IndexVersion(*row) for row in db.execute(_select(collection))]


def current_version(store: Store, collection: str) -> IndexVersion | None:
    """The version that answers queries; None before the first ingestion is complete. Blocks."""
    with store.begin() as db:
        row = db.execute(_select(collection).where(index_versions.c.current)).first()
    return IndexVersion(*row) if row else None


def add_version(store: Store, collection: str, version: IndexVersion) -> None:
    """Write the row of a new version. Blocks."""
    with store.begin() as db:
        db.execute(
            insert(index_versions).values(
                collection=collection, created_unix_ns=time.time_ns(), **asdict(version)
            )
        )


def make_current(store: Store, collection: str, version: str) -> None:
    """Make ``version`` the only one, in one transaction; documents rows of others go. Blocks."""
    of = index_versions.c.collection == collection
    with store.begin() as db:
        db.execute(delete(index_versions).where(of, index_versions.c.version != version))
        db.execute(update(index_versions).where(of).values(current=True))
        db.execute(
            delete(documents).where(
                documents.c.collection == collection, documents.c.version != version
            )
        )


def remove_version(store: Store, collection: str, version: str) -> None:
    """Remove the rows of a version and of its documents. Blocks."""
    with store.begin() as db:
        for table in (index_versions, documents):
            db.execute(
                delete(table).where(table.c.collection == collection, table.c.version == version)
            )


def chunks_on_record(store: Store, collection: str, version: str) -> int:
    """How many chunks the documents rows of a version add up to. Blocks."""
    query = select(documents.c.chunks).where(
        documents.c.collection == collection, documents.c.version == version
    )
    with store.begin() as db:
        return sum(row.chunks for row in db.execute(query))


def _select(collection: str) -> Select[Any]:
    table = index_versions.c
    return (
        select(
            table.version,
            table.folder,
            table.fingerprint,
            table.embedder,
            table.dimension,
            table.current,
        )
        .where(table.collection == collection)
        .order_by(table.created_unix_ns.desc())
    )
