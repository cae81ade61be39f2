"""The background task that changes over to a new configuration, by signal or by itself."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from headgate_core.errors import ConfigurationError, Conflict, HeadgateError, Internal
from headgate_core.settings.gateway import GatewaySettings
from headgate_gateway.reload.source import Source, Stamp

log = logging.getLogger("headgate.reload")

T = TypeVar("T")

Again: TypeAlias = Callable[[], Awaitable[HeadgateError | None]]
"""Has every worker read the configuration again; returns why this one refused it."""

EVERY_S = 0.5
"""How often the files are looked at, and how long they must have been quiet."""
AGAIN_S = 5.0
"""A refused configuration is tried again so often: its fault may lie outside of the files."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration that is not served; ``error`` is its first fault."""

    at_unix_ns: int
    error: str

    @classmethod
    def by(cls, error: HeadgateError) -> Refused:
        """What the error says first, with its file and line."""
        first = str(error)
        if isinstance(error, ConfigurationError) and error.problems:
            more = len(error.problems) - 1
            first = str(error.problems[0]) + (f" (and {more} more)" if more else "")
        return cls(time.time_ns(), first)


class Reloadable(Protocol):
    """A gateway, as far as it matters here."""

    refused: Refused | None

    @property
    def settings(self) -> GatewaySettings:
        """What is served now."""
        ...

    async def reload(self, settings: GatewaySettings) -> None:
        """Serve by ``settings`` from now on. Raises ``HeadgateError``; the old serves then."""
        ...

    def speaks(self) -> bool:
        """Whether this process is the one of several that logs what concerns all of them."""
        ...


class Reloader:
    """Reads the files again when ``asked`` is set, and when they have changed.

    ``loaded`` is told the settings of each change; ``tell`` sets ``asked`` in every worker.
    """

    def __init__(
        self,
        gateway: Reloadable,
        source: Source,
        asked: asyncio.Event,
        loaded: Callable[[GatewaySettings], None],
        tell: Callable[[], None] | None = None,
    ) -> None:
        self._gateway = gateway
        self._source = source
        self._loaded = loaded
        self._asked = asked
        self._tell = tell or asked.set
        self._waiting: list[asyncio.Future[HeadgateError | None]] = []
        self._pending: Mapping[Path, Stamp] | None = None
        self._tried = 0.0

    async def run(self) -> None:
        """Go on until cancelled; a fault in one round is logged, and the next one comes."""
        said = ""
        while True:
            asked = await self._wait()
            error = (await _done(self._round(asked=asked))).exception()
            fault = "" if error is None else f"{type(error).__name__}: {error}"
            if fault and fault != said:
                log.error("the files cannot be looked at; tried again", exc_info=error)
            said = fault

    async def again(self) -> HeadgateError | None:
        """Have every worker read the files; returns why this one refused them, None = it serves.

        Raises ``Conflict`` where nothing is to be read again.
        """
        if self._gateway.settings.server.reload == "never":
            raise Conflict("server.reload is `never`: restart the gateway.", code="reload_off")
        told: asyncio.Future[HeadgateError | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(told)
        self._tell()
        return await told

    async def _round(self, *, asked: bool) -> None:
        mode = self._gateway.settings.server.reload
        if asked and mode == "never":
            log.warning("server.reload is `never`: the signal to reload is ignored")
        elif asked:
            await self._answered()
        elif mode == "watch" and await self._due():
            await self._reload(asked=False)

    async def _answered(self) -> None:
        """One round for all who wait for one that begins after they asked."""
        waiting, self._waiting = self._waiting, []
        error: HeadgateError | None = Internal("The files were not read; the log holds the cause.")
        try:
            error = await self._reload(asked=True)
        finally:
            for told in waiting:
                if not told.done():
                    told.set_result(error)

    async def _wait(self) -> bool:
        """Whether a signal came before it was time to look at the files."""
        try:
            async with asyncio.timeout(EVERY_S):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _due(self) -> bool:
        """Whether the files have changed and come to rest, or a refusal is to be tried again."""
        stamps = await asyncio.to_thread(self._source.stamps)
        if not self._source.changed(stamps):
            self._pending = None
            late = time.monotonic() - self._tried >= AGAIN_S
            return self._gateway.refused is not None and late
        quiet = stamps == self._pending
        self._pending = stamps
        return quiet

    async def _reload(self, *, asked: bool) -> HeadgateError | None:
        """Change over; returns why that was refused."""
        self._tried = time.monotonic()
        before = self._gateway.settings.hash
        changing = await _done(self._change())
        error = changing.exception()
        refused = None
        if isinstance(error, HeadgateError):
            refused = error
        elif error is not None:  # a fault of ours or of a plugin: the old one goes on serving
            log.error("the new configuration cannot be built", exc_info=error)
            refused = ConfigurationError(f"{type(error).__name__}: {error}")
        if refused is not None:
            self._refuse(refused, before, asked)
        else:
            self._serves(changing.result(), before)
        self._tried = time.monotonic()
        return refused

    async def _change(self) -> GatewaySettings:
        settings = await asyncio.to_thread(self._source.load)
        await self._gateway.reload(settings)
        return settings

    def _serves(self, settings: GatewaySettings, before: str) -> None:
        self._gateway.refused = None
        self._loaded(settings)
        change = f"{settings.hash} serves, after {before}"
        if settings.hash == before:
            change = f"{before} was read again with all its files"
        log.info("worker %d: configuration %s", os.getpid(), change)

    def _refuse(self, error: HeadgateError, serving: str, asked: bool) -> None:
        refused, before = Refused.by(error), self._gateway.refused
        self._gateway.refused = refused
        if asked or before is None or before.error != refused.error:
            said = str(error) if self._gateway.speaks() else refused.error
            told = "worker %d: the new configuration is refused, %s goes on serving: %s"
            log.error(told, os.getpid(), serving, said)


async def _done(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """The work as a task that has ended, well or not; cancelled when its caller is."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    return task
