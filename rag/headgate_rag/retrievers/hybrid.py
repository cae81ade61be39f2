"""The default retriever: dense vectors and BM25 side by side, fused by reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import quote

from headgate_core.errors import ConfigurationError
from headgate_core.settings.retrieval import CollectionSettings, RetrievalSettings, link_fault
from headgate_core.types import Passage, Principal
from headgate_rag.client import IndexClient
from headgate_rag.types import Query


@dataclass
class Hybrid:
    """Finds by meaning and by words at once; everything it needs stands in ``retrieval``."""

    _client: IndexClient | None = field(default=None, init=False, repr=False)
    _retrieval: RetrievalSettings | None = field(default=None, init=False, repr=False)
    _link: str = field(default="", init=False, repr=False)

    def attach(
        self, client: IndexClient, retrieval: RetrievalSettings, collection: CollectionSettings
    ) -> None:
        """Take the route's wishes. Raises ``ConfigurationError`` for those that cannot be met."""
        if retrieval.weights.dense == 0 and retrieval.weights.bm25 == 0:
            raise ConfigurationError(
                f"retrieval from {collection.name!r}: one of weights.dense and weights.bm25 must "
                "be greater than 0, or nothing would ever be found."
            )
        _check_link(collection)
        self._client, self._retrieval, self._link = client, retrieval, collection.link

    async def retrieve(self, query: str, principal: Principal) -> list[Passage]:
        """The best passages that ``principal`` may see. Raises ``HeadgateError``."""
        if self._client is None or self._retrieval is None:
            raise RuntimeError("attach() comes before retrieve()")
        wish = self._retrieval
        passages = await self._client.query(
            Query(
                collection=wish.collection,
                text=query,
                principal=principal,
                top_k=wish.top_k,
                candidates=wish.candidates,
                dense_weight=wish.weights.dense,
                bm25_weight=wish.weights.bm25,
                min_score=wish.min_score,
                where=wish.where,
            )
        )
        return [replace(passage, url=_url(self._link, passage)) for passage in passages]


def _url(link: str, passage: Passage) -> str:
    filled = link.format(
        path=quote(passage.document, safe="/"),
        anchor=quote(passage.anchor, safe=""),
        title=quote(passage.title, safe=""),
    )
    return filled.removesuffix("#")


def _check_link(collection: CollectionSettings) -> None:
    if fault := link_fault(collection.link):
        raise ConfigurationError(f"collection {collection.name!r}: link: {fault}")
