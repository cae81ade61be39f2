"""The embedded vector index: qdrant-edge, one folder an index version, one owning process."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headgate_core.errors import BrokenIndex, ConfigurationError, ServiceError
from headgate_core.plugins import missing_extra
from headgate_rag.segments import missing_part
from headgate_rag.tenancy import groups_of, labels_of, tenant_filter
from headgate_rag.types import Chunk, Query

RRF_K = 60
"""The constant of reciprocal rank fusion; the engine's own default is 2."""

BATCH = 200
"""Points a write: the engine holds the interpreter's lock while it writes."""

_PAYLOAD = frozenset(
    ("tenant", "document", "text", "start", "end", "title", "heading", "anchor", "metadata")
)
"""What every point carries for whoever reads its passage."""

_NAMESPACE = uuid.UUID("6f0c2f0e-58a8-4a55-9d0b-6d1c3b7e4f21")


@dataclass
class Embedded:
    """Qdrant inside the index process: dense vectors and BM25, fused by reciprocal rank.

    ``language`` chooses stop words and stemming of BM25.
    """

    language: str = "english"
    _shard: Any = field(default=None, init=False, repr=False)
    _bm25: Any = field(default=None, init=False, repr=False)
    _folder: Path = field(default=Path(), init=False, repr=False)

    def open(self, folder: Path, dimension: int) -> None:
        """Open, or create where there is no folder. Raises ``BrokenIndex`` where it is damaged."""
        edge = _engine()
        self._folder = folder
        try:
            self._bm25 = edge.Bm25(edge.Bm25Config(language=self.language))
        except ValueError as error:
            raise ConfigurationError(f"index 'embedded': language: {error}.") from error
        config = edge.EdgeConfig(
            vectors={"dense": edge.EdgeVectorParams(dimension, edge.Distance.Cosine)},
            sparse_vectors={"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        )
        with _faults(folder):
            if not folder.exists():
                self._create(edge, config)
                return
            # The engine puts an empty part in the place of a missing one, and then finds nothing.
            if fault := self.damage(folder):
                raise BrokenIndex(fault)
            self._shard = edge.EdgeShard.load(str(folder), config)

    def damage(self, folder: Path) -> str:
        """What is missing on disk, as a sentence; empty where nothing is. Loads no engine."""
        return missing_part(folder)

    def _create(self, edge: Any, config: Any) -> None:
        self._shard = edge.EdgeShard.create(str(self._folder), config)
        for name in ("tenant", "document", "groups", "labels"):
            schema = edge.KeywordIndexParams(is_tenant=name == "tenant")
            self._shard.update(edge.UpdateOperation.create_field_index(name, schema))
        self._shard.flush()

    def replace(
        self, tenant: str, document: str, chunks: Sequence[Chunk], vectors: Sequence[list[float]]
    ) -> None:
        """Put the document's chunks in, then remove what it had before. Idempotent."""
        edge = _engine()
        if len(chunks) != len(vectors):
            raise ServiceError(
                f"{document}: {len(vectors)} vectors for {len(chunks)} chunks; nothing is written."
            )
        points = [
            self._point(tenant, document, chunk, vector)
            for chunk, vector in zip(chunks, vectors, strict=True)
        ]
        with _faults(self._folder):
            for start in range(0, len(points), BATCH):
                batch = points[start : start + BATCH]
                self._shard.update(edge.UpdateOperation.upsert_points(batch))
            self._remove(tenant, document, {point.id for point in points})

    def delete(self, tenant: str, document: str) -> None:
        """Remove a document; no error when it is not there."""
        with _faults(self._folder):
            self._remove(tenant, document, set())

    def _remove(self, tenant: str, document: str, but: set[Any]) -> None:
        edge = _engine()
        own = [
            edge.FieldCondition(key=key, match=edge.MatchValue(value=value))
            for key, value in (("tenant", tenant), ("document", document))
        ]
        kept = [edge.HasIdCondition(but)] if but else []
        old = edge.Filter(must=own, must_not=kept)
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(old))
        self._shard.flush()

    def _point(self, tenant: str, document: str, chunk: Chunk, vector: list[float]) -> Any:
        edge = _engine()
        digest = hashlib.sha256(chunk.embedded.encode()).hexdigest()
        name = f"{tenant}|{document}|{chunk.ordinal}|{digest}"
        return edge.Point(
            id=uuid.uuid5(_NAMESPACE, name),
            vector={"dense": vector, "bm25": self._bm25.embed_document(chunk.embedded)},
            payload={
                "tenant": tenant,
                "document": document,
                "groups": groups_of(chunk.metadata),
                "labels": labels_of(chunk.metadata),
                "ordinal": chunk.ordinal,
                "text": chunk.text,
                "start": chunk.start,
                "end": chunk.end,
                "title": chunk.title,
                "heading": list(chunk.heading),
                "anchor": chunk.anchor,
                "metadata": dict(chunk.metadata),
            },
        )

    def query(self, query: Query, vector: list[float], tenant: str) -> list[Mapping[str, Any]]:
        """Hits, best first: ``{id, payload, scores: {dense, bm25, rrf}, score}``; RRF with k = 60.

        ``bm25`` is absent where no word of the query occurs in the passage.
        """
        edge = _engine()
        scope = tenant_filter(tenant, query.principal.groups, query.where)
        lists = self._lists(query, vector, scope)
        weighted = [(ask, weight) for ask, weight in lists if weight > 0]
        if not weighted:
            return []
        fusion = edge.Fusion.Rrf(k=RRF_K, weights=[weight for _, weight in weighted])
        prefetches = [edge.Prefetch(**ask) for ask, _ in weighted]
        most = sum(ask["limit"] for ask, _ in weighted)
        with _faults(self._folder):
            found = self._shard.query(
                edge.QueryRequest(limit=most, query=fusion, prefetches=prefetches, filter=scope)
            )
            # Ties are common in rank fusion: broken by id, so that a rerun repeats the result.
            best = sorted(found, key=lambda hit: (-hit.score, str(hit.id)))[: query.top_k]
            if not best and query.dense_weight > 0:
                self._really_nothing(scope)
            return self._with_scores(best, [ask for ask, _ in lists], scope)

    def _really_nothing(self, scope: Any) -> None:
        """Every passage has a vector, so a search by vectors finds something where there is one."""
        seen = self._shard.count(_engine().CountRequest(filter=scope, exact=True))
        if seen:
            raise BrokenIndex(f"its {seen} passages have no vectors.")

    def _lists(
        self, query: Query, vector: list[float], scope: Any
    ) -> list[tuple[dict[str, Any], float]]:
        """The dense list, then the BM25 one unless the query has no word; each with its weight."""
        edge = _engine()
        limit = max(query.candidates, query.top_k)
        dense = edge.Query.Nearest(vector, using="dense")
        lists = [({"limit": limit, "query": dense, "filter": scope}, query.dense_weight)]
        words = self._bm25.embed_query(query.text)
        if words.indices:  # an empty sparse query gives unrelated hits
            sparse = edge.Query.Nearest(words, using="bm25")
            # Term statistics of what the caller may see: others' would show through the scores.
            params = edge.SearchParams(idf=edge.IdfParams(corpus=scope))
            ask = {"limit": limit, "query": sparse, "filter": scope, "params": params}
            lists.append((ask, query.bm25_weight))
        return lists

    def _with_scores(
        self, best: Sequence[Any], lists: Sequence[dict[str, Any]], scope: Any
    ) -> list[Mapping[str, Any]]:
        edge = _engine()
        if not best:
            return []
        these = edge.Filter(must=[scope, edge.HasIdCondition({hit.id for hit in best})])
        payloads: dict[str, Any] = {}
        scores: dict[str, dict[str, float]] = {str(hit.id): {} for hit in best}
        for name, ask in zip(("dense", "bm25"), lists, strict=False):
            wish = {**ask, "filter": these, "limit": len(best), "with_payload": name == "dense"}
            for hit in self._shard.query(edge.QueryRequest(**wish)):
                scores[str(hit.id)][name] = hit.score
                if name == "dense":
                    payloads[str(hit.id)] = hit.payload
        for key in scores:
            if not set(payloads.get(key) or ()) >= _PAYLOAD:
                raise BrokenIndex(f"the vector or the text of passage {key} is missing.")
        return [
            {
                "id": str(hit.id),
                "payload": payloads[str(hit.id)],
                "scores": {**scores[str(hit.id)], "rrf": hit.score},
                "score": hit.score,
            }
            for hit in best
        ]

    def count(self) -> int:
        """Points in the index, all tenants."""
        with _faults(self._folder):
            return int(self._shard.info().points_count)

    def close(self) -> None:
        """Flush and close."""
        if self._shard is not None:
            self._shard.close()
            self._shard = None


def _engine() -> Any:
    try:
        import qdrant_edge
    except ModuleNotFoundError as error:
        raise missing_extra("qdrant_edge") from error
    return qdrant_edge


@contextmanager
def _faults(folder: Path) -> Iterator[None]:
    """The engine's faults as ours: it raises bare ``Exception``s, and panics as another kind."""
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        if "WouldBlock" in str(error):
            raise ServiceError(
                f"The index folder {folder} is open in another process; one process alone may "
                "own it."
            ) from error
        raise BrokenIndex(f"{error}.") from error
