"""An exact cache in this process's memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field

from headgate_core.types import Json


@dataclass(slots=True)
class Exact:
    """Serves a delivered answer again for the very same rendered call; least recently used out.

    Options: ``ttl_s`` seconds an entry lives, ``max_entries`` the most that are kept per worker.
    """

    ttl_s: float = 3600
    max_entries: int = 10_000
    _entries: OrderedDict[str, tuple[float, Json]] = field(
        default_factory=OrderedDict, init=False, repr=False
    )

    def get(self, key: str) -> Json | None:
        """The value stored under ``key``, or None when there is none or it is too old."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        expires, value = entry
        if expires <= time.monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: str, value: Json) -> None:
        """Store ``value``; the least recently used entry goes when the cache is full."""
        self._entries[key] = (time.monotonic() + self.ttl_s, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self.max_entries:
            self._entries.popitem(last=False)
