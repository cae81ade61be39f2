"""What the index process answers: one method an operation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from headgate_core.egress import guard
from headgate_core.egress.allow import AllowList
from headgate_core.errors import RetrievalFailed, ServiceError
from headgate_core.settings import environment
from headgate_core.settings.base import PluginUse
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.store import Store
from headgate_core.types import Principal
from headgate_rag import versions
from headgate_rag.process.library import Library, Opened, naming
from headgate_rag.process.models import Models, encode
from headgate_rag.process.nearest import nearest, read_tokens
from headgate_rag.process.remembered import Remembered
from headgate_rag.process.token_memory import TokenMemory
from headgate_rag.process.worker import Worker
from headgate_rag.tenancy import stored_tenant
from headgate_rag.types import Chunk, EmbeddingModel, Query, Tokens

BATCH = 32
"""Texts embedded in one job; a waiting query goes between two jobs."""

Json = dict[str, Any]


def create(data_dir: Path, _args: Json) -> IndexProcess:
    """The factory that the process is started with; nothing heavy is imported yet."""
    environment.quiet_dependencies()
    return IndexProcess(data_dir)


class IndexProcess:
    """Owns the models and indexes of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._models = Models()
        self._library = Library(data_dir, self._models)
        self._worker = Worker()
        self._remembered = Remembered()
        self._tokens = TokenMemory()
        self._stores: dict[str, Store] = {}
        self._allow: list[str] | None = None
        self._operations = {
            "embed": self._embed,
            "nearest": self._nearest,
            "begin": self._begin,
            "switch": self._switch,
            "versions": self._versions,
            "replace": self._replace,
            "delete": self._delete,
            "query": self._query,
            "count": self._count,
            "warm": self._warm,
            "status": self._status,
        }

    async def handle(self, op: str, args: Json) -> Any:
        """Answer one request of ``IndexClient``. Raises ``HeadgateError``."""
        if op not in self._operations:
            raise ServiceError(f"The index process knows no operation {op!r}.")
        if "egress" in args:
            self._keep_to(args.pop("egress"))
        return await self._operations[op](args)

    def _keep_to(self, allow: list[str] | None) -> None:
        """Models and plugins connect from here to what the gateway's own list allows, at most."""
        if allow != self._allow:
            guard.enforce(self, None if allow is None else AllowList.of(allow))
            self._allow = allow

    async def close(self) -> None:
        """Flush and close the indexes and stores, after the job in hand."""
        await self._worker.run(self._library.close)
        for store in self._stores.values():
            store.close()

    async def _embed(self, args: Json) -> list[list[float]]:
        use = PluginUse.model_validate(args["embedder"])
        model = await self._worker.run(lambda: self._models.get(use), urgent=True)
        texts, name = args["texts"], model.fingerprint
        missing = self._remembered.missing(name, texts)
        fresh = await self._encode(model, missing, urgent=True)
        # No await between the two: another request cannot push these out in the meantime.
        self._remembered.keep(name, missing, fresh)
        return self._remembered.vectors(name, texts)

    async def _nearest(self, args: Json) -> Json:
        use = PluginUse.model_validate(args["embedder"])
        model = await self._worker.run(lambda: self._models.get(use), urgent=True)
        texts, name = [args["question"], *args["texts"]], model.fingerprint
        missing = self._tokens.missing(name, texts)
        fresh = await self._read(model, missing)
        # No await between the two, as above.
        self._tokens.keep(name, missing, fresh)
        question, *known = self._tokens.tokens(name, texts)
        return await self._worker.run(partial(nearest, question, known), urgent=True)

    async def _read(self, model: EmbeddingModel, texts: Sequence[str]) -> list[Tokens]:
        found: list[Tokens] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            found += await self._worker.run(partial(read_tokens, model, batch), urgent=True)
        return found

    async def _encode(
        self, model: EmbeddingModel, texts: Sequence[str], urgent: bool
    ) -> list[list[float]]:
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            vectors += await self._worker.run(partial(encode, model, batch), urgent)
        return vectors

    async def _begin(self, args: Json) -> Json:
        collection = _collection(args)

        def job() -> Json:
            return asdict(self._library.begin(self._store(args), collection, args["rebuild"]))

        return await self._worker.run(job)

    async def _switch(self, args: Json) -> Json:
        collection = _collection(args)

        def job() -> Json:
            return asdict(self._library.switch(self._store(args), collection, args["version"]))

        return await self._worker.run(job)

    async def _versions(self, args: Json) -> list[Json]:
        name = _collection(args).name
        return await self._worker.run(
            lambda: [asdict(row) for row in versions.all_versions(self._store(args), name)]
        )

    async def _replace(self, args: Json) -> None:
        collection = _collection(args)
        tenant = stored_tenant(collection, args["tenant"])
        chunks = [
            Chunk(**{**chunk, "heading": tuple(chunk["heading"])}) for chunk in args["chunks"]
        ]
        opened = await self._worker.run(lambda: self._opened(args))
        vectors = await self._encode(opened.model, [c.embedded for c in chunks], urgent=False)

        def write() -> None:
            # Looked up again: while the vectors were made, the version may have been reopened.
            now = self._opened(args)
            with naming(collection.name, now.folder):
                now.index.replace(tenant, args["document"], chunks, vectors)

        await self._worker.run(write)

    async def _delete(self, args: Json) -> None:
        collection = _collection(args)
        tenant = stored_tenant(collection, args["tenant"])

        def job() -> None:
            opened = self._opened(args)
            with naming(collection.name, opened.folder):
                opened.index.delete(tenant, args["document"])

        await self._worker.run(job)

    async def _query(self, args: Json) -> list[Any]:
        collection = _collection(args)
        query = _to_query(args["query"])
        tenant = stored_tenant(collection, query.principal.tenant)

        def job() -> list[Any]:
            opened = self._opened(args)
            if opened.manifest.tenancy != collection.tenancy:
                raise RetrievalFailed(
                    f"Collection {collection.name!r} was ingested with `tenancy: "
                    f"{opened.manifest.tenancy}` and is configured as {collection.tenancy!r} now: "
                    f"run `headgate ingest {collection.name}`."
                )
            (vector,) = encode(opened.model, [query.text])
            with naming(collection.name, opened.folder):
                hits = list(opened.index.query(query, vector, tenant))
            best = max((hit["scores"]["dense"] for hit in hits), default=0.0)
            return hits if best >= query.min_score else []

        return await self._worker.run(job, urgent=True)

    async def _count(self, args: Json) -> int:
        def job() -> int:
            store, name = self._store(args), _collection(args).name
            if not args["version"] and versions.current_version(store, name) is None:
                return 0
            return self._opened(args).index.count()

        return await self._worker.run(job)

    async def _warm(self, args: Json) -> None:
        collection = _collection(args)

        def job() -> None:
            if versions.current_version(self._store(args), collection.name) is not None:
                self._opened(args)
            else:
                self._models.get(collection.embedder)

        await self._worker.run(job)

    async def _status(self, _args: Json) -> Json:
        def job() -> Json:
            return {
                "pid": os.getpid(),
                "models": self._models.fingerprints(),
                "open": self._library.names(),
            }

        return await self._worker.run(job, urgent=True)

    def _opened(self, args: Json) -> Opened:
        return self._library.opened(self._store(args), _collection(args), args.get("version", ""))

    def _store(self, args: Json) -> Store:
        url = args["store"]
        if url not in self._stores:
            self._stores[url] = Store.open(url)
        return self._stores[url]


def _collection(args: Json) -> CollectionSettings:
    return CollectionSettings.model_validate(args["collection"])


def _to_query(data: Json) -> Query:
    principal = data["principal"]
    return Query(
        **{
            **data,
            "principal": Principal(
                key_id=principal["key_id"],
                tenant=principal["tenant"],
                groups=tuple(principal["groups"]),
            ),
        }
    )
