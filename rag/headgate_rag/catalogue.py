"""What the store knows of ingested documents: one row a document of an index version."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Delete, delete, func, insert, select

from headgate_core.store import Store
from headgate_core.store.tables import documents, index_versions


@dataclass(frozen=True, slots=True)
class Row:
    """One document as it was ingested; ``content_hash`` covers its bytes and how they are cut."""

    tenant: str
    path: str
    content_hash: str
    title: str
    chunks: int


@dataclass(frozen=True, slots=True)
class Counts:
    """The current version of a collection in numbers; ``version`` empty = nothing ingested."""

    version: str = ""
    embedder: str = ""
    documents: int = 0
    chunks: int = 0


class Catalogue:
    """The ``documents`` rows of one collection. All methods block."""

    def __init__(self, store: Store, collection: str) -> None:
        self._store = store
        self._collection = collection

    def rows(self, version: str) -> list[Row]:
        """All documents of a version, every tenant's, by path."""
        query = (
            select(
                documents.c.tenant,
                documents.c.path,
                documents.c.content_hash,
                documents.c.title,
                documents.c.chunks,
            )
            .where(documents.c.collection == self._collection, documents.c.version == version)
            .order_by(documents.c.tenant, documents.c.path)
        )
        with self._store.begin() as db:
            return [Row(*row) for row in db.execute(query)]

    def put(self, version: str, row: Row) -> None:
        """Write the row of a document in place of the one there may be."""
        values = {
            "collection": self._collection,
            "version": version,
            "tenant": row.tenant,
            "path": row.path,
            "content_hash": row.content_hash,
            "title": row.title,
            "chunks": row.chunks,
            "ingested_unix_ns": time.time_ns(),
        }
        with self._store.begin() as db:
            db.execute(self._one(version, row.tenant, row.path))
            db.execute(insert(documents).values(values))

    def remove(self, version: str, tenant: str, path: str) -> None:
        """Remove the row of a document; no error when there is none."""
        with self._store.begin() as db:
            db.execute(self._one(version, tenant, path))

    def _one(self, version: str, tenant: str, path: str) -> Delete:
        return delete(documents).where(
            documents.c.collection == self._collection,
            documents.c.version == version,
            documents.c.tenant == tenant,
            documents.c.path == path,
        )

    def counts(self) -> Counts:
        """The current version and how much is in it."""
        current = select(index_versions.c.version, index_versions.c.embedder).where(
            index_versions.c.collection == self._collection, index_versions.c.current
        )
        with self._store.begin() as db:
            found = db.execute(current).first()
            if found is None:
                return Counts()
            total = select(func.count(), func.coalesce(func.sum(documents.c.chunks), 0)).where(
                documents.c.collection == self._collection, documents.c.version == found.version
            )
            number, chunks = db.execute(total).one()
        return Counts(found.version, found.embedder, number, int(chunks))
