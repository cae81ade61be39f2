"""The port of caches that also know a question by its meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from headgate_core.ports import Cache
from headgate_core.types import Json, Principal


@dataclass(frozen=True, slots=True)
class Nearest:
    """The kept question that is nearest to the one asked; ``value`` only if it is near enough."""

    similarity: float
    """Cosine; 1 = the same."""
    call_id: str
    """The call that had asked it."""
    value: Json | None


@runtime_checkable
class NearCache(Cache, Protocol):
    """A cache that also finds answers by the meaning of a text.

    ``scope`` stands for everything but the text: tenant, route, policies, conversation, parameters.
    """

    async def find(self, scope: str, text: str, principal: Principal) -> Nearest | None:
        """The nearest question in ``scope``; None when there is none to compare with."""
        ...

    async def keep(self, scope: str, text: str, value: Json, call_id: str) -> None:
        """Store the answer to ``text``; may evict others."""
        ...
