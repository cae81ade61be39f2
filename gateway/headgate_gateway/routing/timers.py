"""The four timers: each error names the one that fired and its value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from headgate_core.errors import UpstreamTimeout
from headgate_core.settings.pools import TimeoutSettings

T = TypeVar("T")


class Timers:
    """Deadlines of one attempt, on the loop's clock. ``total_at`` is the call's own end."""

    def __init__(self, settings: TimeoutSettings, total_s: float, total_at: float) -> None:
        self._settings = settings
        self._total_s = total_s
        self._total_at = total_at
        self._first_at = asyncio.get_running_loop().time() + settings.first_token_s

    async def first(self, work: Awaitable[T]) -> T:
        """Wait until the first content; raises ``UpstreamTimeout``."""
        return await self._until(
            work, "first_token_s", self._settings.first_token_s, self._first_at
        )

    async def between(self, work: Awaitable[T]) -> T:
        """Wait for the next event of a stream; raises ``UpstreamTimeout``."""
        gap = self._settings.between_tokens_s
        at = asyncio.get_running_loop().time() + gap
        return await self._until(work, "between_tokens_s", gap, at)

    async def _until(self, work: Awaitable[T], name: str, value: float, at: float) -> T:
        if self._total_at < at:
            name, value, at = "total_s", self._total_s, self._total_at
        try:
            async with asyncio.timeout_at(at):
                return await work
        except TimeoutError as error:
            raise UpstreamTimeout(f"The timer {name} = {value:g} fired.") from error
