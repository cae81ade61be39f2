"""Capabilities of other components, looked up by name when they are first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headgate_core import plugins
from headgate_core.ports import Embedder, Tools
from headgate_core.settings.base import PluginUse
from headgate_core.types import Principal, Purpose


def plugin(kind: str, use: str | Mapping[str, Any] | PluginUse) -> Any:
    """A plugin by its name or by its ``{use, options}``. Raises ``ConfigurationError``."""
    asked = use if isinstance(use, PluginUse) else PluginUse.model_validate(use)
    return plugins.build(kind, asked.use, asked.options)


def bound(thing: Any, tools: Tools) -> Any:
    """``thing`` after its ``bind(tools)``, if it has one."""
    bind = getattr(thing, "bind", None)
    if bind is not None:
        bind(tools)
    return thing


async def closed(thing: Any) -> None:
    """Call ``close()`` of what has one."""
    close = getattr(thing, "close", None)
    if close is not None:
        await close()


class LazyEmbedder:
    """The ``Embedder`` port; a gateway that never embeds never loads the component behind it."""

    def __init__(self) -> None:
        self.tools: Tools | None = None
        self._embedder: Embedder | None = None

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        """One unit-length vector per text. Raises ``MissingExtra`` where the extra is missing."""
        return await self._found().embed(texts, purpose, principal)

    async def nearest(self, question: str, texts: Sequence[str], principal: Principal) -> Any:
        """How near each token of ``question`` comes to each text, as the component says it."""
        found: Any = self._found()
        return await found.nearest(question, texts, principal)

    def _found(self) -> Embedder:
        if self._embedder is None:
            if self.tools is None:
                raise RuntimeError("the embedder was used before the gateway was built")
            self._embedder = bound(plugins.capability("embedder")(), self.tools)
        return self._embedder

    async def close(self) -> None:
        """Close the component if it was ever used."""
        await closed(self._embedder)
