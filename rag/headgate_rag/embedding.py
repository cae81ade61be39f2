"""The port ``Embedder`` on the index process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headgate_core.ports import Tools
from headgate_core.settings.base import PluginUse
from headgate_core.types import Principal, Purpose
from headgate_rag.client import IndexClient
from headgate_rag.nearness import Nearness


class CloseReader(Protocol):
    """An embedder that can also compare texts token by token."""

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        """One unit-length vector per text, in order."""
        ...

    async def nearest(self, question: str, texts: Sequence[str], principal: Principal) -> Nearness:
        """How near each token of ``question`` comes to each text."""
        ...


class LocalEmbedder:
    """Embeds in the index process, with the model that the configured collections agree on.

    Where they do not agree, or there are none, it is ``minilm``. Nothing is paid for it.
    """

    def __init__(self) -> None:
        self._client: IndexClient | None = None
        self._use = PluginUse(use="minilm")

    def bind(self, tools: Tools) -> None:
        """Take the configuration; nothing is started before the first text."""
        self._client = IndexClient(tools.settings)
        uses = [collection.embedder for collection in tools.settings.collections]
        if uses and all(use == uses[0] for use in uses):
            self._use = uses[0]

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        """One unit-length vector per text, in order."""
        if self._client is None:
            raise RuntimeError("bind() comes before embed()")
        return await self._client.embed(texts, self._use) if texts else []

    async def nearest(self, question: str, texts: Sequence[str], principal: Principal) -> Nearness:
        """How near each token of ``question`` comes to each text."""
        if self._client is None:
            raise RuntimeError("bind() comes before nearest()")
        return await self._client.nearest(question, texts, self._use)

    async def close(self) -> None:
        """Close the connection to the index process."""
        if self._client is not None:
            await self._client.close()
