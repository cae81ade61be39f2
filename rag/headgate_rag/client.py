"""The way to the index process: embedding, indexing and searching happen there, never here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate_core import plugins
from headgate_core.daemon import DaemonClient
from headgate_core.errors import ConfigurationError
from headgate_core.settings import environment
from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.types import Passage
from headgate_rag.nearness import Nearness
from headgate_rag.types import Chunk, Query
from headgate_rag.versions import IndexVersion

__all__ = ["IndexClient", "IndexVersion"]

READ_S = 120.0
"""Seconds for what a call waits for; the first one loads the model."""

WRITE_S = 1800.0
"""Seconds for writing one document, which may be a book."""


class IndexClient:
    """Asks the one index process of the data directory, which is started on first need.

    Ingestion writes like this::

        version = await client.begin_version("handbook", rebuild=False)
        # documents rows are kept under version.version; skip those whose content hash is equal
        await client.replace("handbook", tenant, path, chunks, version.version)   # per document
        await client.delete("handbook", tenant, path, version.version)            # those gone
        await client.switch_version("handbook", version.version)    # no-op when it is current

    Tenants of a collection with ``tenancy: shared`` are all stored as one: use
    ``headgate_rag.tenancy.stored_tenant(collection, tenant)`` for ``documents`` rows. Methods
    raise ``ServiceError`` when the process cannot be reached or fails.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        # Threads of the model that have nothing to do would else spin on the cores that serve.
        waits = environment.get("OMP_WAIT_POLICY", "PASSIVE") or ""
        self._daemon = DaemonClient(
            "index",
            settings.data_dir,
            "headgate_rag.process.handler:create",
            env={"OMP_WAIT_POLICY": waits},
        )

    async def embed(self, texts: Sequence[str], embedder: PluginUse) -> list[list[float]]:
        """One unit-length vector per text, in order."""
        args = {"texts": list(texts), "embedder": embedder.model_dump()}
        vectors: list[list[float]] = await self._request("embed", args, READ_S)
        return vectors

    async def nearest(self, question: str, texts: Sequence[str], embedder: PluginUse) -> Nearness:
        """How near each token of ``question`` comes to each text; only numbers travel back."""
        args = {"question": question, "texts": list(texts), "embedder": embedder.model_dump()}
        found = await self._request("nearest", args, READ_S)
        return Nearness([(a, b) for a, b in found["spans"]], found["nearest"])

    async def begin_version(self, collection: str, rebuild: bool = False) -> IndexVersion:
        """The version to write to: the current one while its fingerprint is the configured one.

        Otherwise (or with ``rebuild``) a new one beside it, empty, or one begun before with the
        same fingerprint and never finished, whose ``documents`` rows say what is in it already
        (``rebuild`` throws that one away). Raises ``BrokenIndex`` when it cannot be opened.
        """
        row = await self._ask("begin", collection, WRITE_S, rebuild=rebuild)
        return IndexVersion(**row)

    async def switch_version(self, collection: str, version: str) -> IndexVersion:
        """Make ``version`` the current one and remove the others with their ``documents`` rows.

        Raises ``BrokenIndex`` when it has fewer points than its ``documents`` rows say.
        """
        row = await self._ask("switch", collection, WRITE_S, version=version)
        return IndexVersion(**row)

    async def versions(self, collection: str) -> list[IndexVersion]:
        """All versions there are, newest first."""
        rows = await self._ask("versions", collection, READ_S)
        return [IndexVersion(**row) for row in rows]

    async def replace(
        self,
        collection: str,
        tenant: str,
        document: str,
        chunks: Sequence[Chunk],
        version: str = "",
    ) -> None:
        """Embed and write the chunks of a document, then remove what it had before.

        ``version``: as ``begin_version`` gave it; empty = the current one. Idempotent.
        """
        args = {"tenant": tenant, "document": document, "chunks": list(chunks), "version": version}
        await self._ask("replace", collection, WRITE_S, **args)

    async def delete(self, collection: str, tenant: str, document: str, version: str = "") -> None:
        """Remove a document; no error when it is not there."""
        args = {"tenant": tenant, "document": document, "version": version}
        await self._ask("delete", collection, WRITE_S, **args)

    async def query(self, query: Query) -> list[Passage]:
        """The best passages that the principal may see; ``url`` is still empty.

        Raises ``RetrievalFailed`` when nothing was ingested, ``BrokenIndex`` for a broken folder.
        """
        hits = await self._ask("query", query.collection, READ_S, query=query)
        return [_passage(query.collection, hit) for hit in hits]

    async def count(self, collection: str, version: str = "") -> int:
        """Points of the collection, all tenants; 0 when nothing was ingested."""
        return int(await self._ask("count", collection, READ_S, version=version))

    async def warm(self, collections: Sequence[str]) -> None:
        """Start the process, load the models and open the indexes of ``collections``.

        A collection that nothing was ingested into gets its model loaded. Raises ``BrokenIndex``.
        """
        for collection in collections:
            await self._ask("warm", collection, READ_S)

    async def status(self) -> Mapping[str, Any]:
        """The process id, the models loaded and the index versions open."""
        found: Mapping[str, Any] = await self._daemon.request("status", {}, READ_S)
        return found

    async def close(self) -> None:
        """Close the connection; the process ends by itself when nobody needs it."""
        await self._daemon.close()

    async def _ask(self, op: str, collection: str, timeout_s: float, **args: Any) -> Any:
        # The settings travel along, so that one process serves every configuration of its folder.
        where = {"store": self._settings.store.url, "collection": self._collection(collection)}
        return await self._request(op, {**where, **args}, timeout_s)

    async def _request(self, op: str, args: Mapping[str, Any], timeout_s: float) -> Any:
        egress = self._settings.egress
        allow = None if egress is None else egress.allow
        return await self._daemon.request(op, {**args, "egress": allow}, timeout_s)

    def _collection(self, name: str) -> dict[str, Any]:
        for collection in self._settings.collections:
            if collection.name == name:
                return collection.model_dump(mode="json", exclude={"sources"})
        known = [collection.name for collection in self._settings.collections]
        raise ConfigurationError(plugins.unknown("collection", name, known))


def _passage(collection: str, hit: Mapping[str, Any]) -> Passage:
    payload = hit["payload"]
    return Passage(
        id=hit["id"],
        document=payload["document"],
        text=payload["text"],
        start=payload["start"],
        end=payload["end"],
        title=payload["title"],
        heading=tuple(payload["heading"]),
        anchor=payload["anchor"],
        score=hit["score"],
        scores=hit["scores"],
        collection=collection,
        metadata=payload["metadata"],
    )
