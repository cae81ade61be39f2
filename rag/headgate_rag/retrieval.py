"""The capability ``retrieval``: from a route's settings to its retriever."""

from __future__ import annotations

from typing import Protocol

from headgate_core import plugins
from headgate_core.errors import ConfigurationError
from headgate_core.ports import Retriever, Tools
from headgate_core.settings.retrieval import CollectionSettings, RetrievalSettings
from headgate_rag.client import IndexClient


class CollectionRetriever(Retriever, Protocol):
    """What plugins of the kind ``retrievers`` are: they are told their route's wishes."""

    def attach(
        self, client: IndexClient, retrieval: RetrievalSettings, collection: CollectionSettings
    ) -> None:
        """Called once, before the first query. Raises ``ConfigurationError``."""
        ...


class Retrieval:
    """Builds the retrievers of all routes on one connection to the index process."""

    def __init__(self) -> None:
        self._tools: Tools | None = None
        self._client: IndexClient | None = None
        self._compiled: list[str] = []

    def bind(self, tools: Tools) -> None:
        """Take the configuration; nothing is started before the first query."""
        self._tools = tools
        self._client = IndexClient(tools.settings)

    def compile(self, retrieval: RetrievalSettings) -> Retriever:
        """A retriever for one route's ``retrieval`` member. Raises ``ConfigurationError``."""
        if self._tools is None or self._client is None:
            raise RuntimeError("bind() comes before compile()")
        collection = self._collection(self._tools, retrieval.collection)
        retriever: CollectionRetriever = plugins.build(
            "retrievers", retrieval.use, retrieval.options
        )
        bind = getattr(retriever, "bind", None)
        if bind is not None:
            bind(self._tools)
        retriever.attach(self._client, retrieval, collection)
        if collection.name not in self._compiled:
            self._compiled.append(collection.name)
        return retriever

    async def warm(self) -> None:
        """Load the models and open the indexes of all routes. Raises ``HeadgateError``."""
        if self._client is not None:
            await self._client.warm(self._compiled)

    async def close(self) -> None:
        """Close the connection to the index process."""
        if self._client is not None:
            await self._client.close()

    def _collection(self, tools: Tools, name: str) -> CollectionSettings:
        collections = {collection.name: collection for collection in tools.settings.collections}
        if name not in collections:
            raise ConfigurationError(plugins.unknown("collection", name, list(collections)))
        return collections[name]
