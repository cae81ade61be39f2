"""Pools whose targets are functions of the test: no connection, no waiting, any clock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from headgate_core.context import Context
from headgate_core.errors import UpstreamError, UpstreamStatus
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Event, Facts, Reply
from headgate_core.settings.pools import PoolSettings
from headgate_core.types import Principal, Purpose, Usage
from headgate_gateway.resting import Rest
from headgate_gateway.routing.attempts import Attempts
from headgate_gateway.routing.breaker import Breaker
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

WHO = Principal(key_id="k")
OUT = UpstreamStatus("out", upstream_status=503)

Act = Callable[[], Awaitable[None]]
"""Returns where the target answers, raises where it fails."""


async def works() -> None:
    """The target answers."""


def breaks(error: Exception) -> Act:
    """The target fails with ``error``."""

    async def act() -> None:
        raise error

    return act


async def hangs_for_ever() -> None:
    """The target never says a word."""
    await asyncio.Event().wait()


@dataclass
class _Free:
    pico: int | None = 0
    text: str = "free"


class _FreePrices:
    def price(self, usage: Usage, provider: str, model: str, tier: str = "") -> _Free:
        return _Free()

    def worst_case(self, most: Usage, provider: str, model: str, tier: str = "") -> int | None:
        return 0


@dataclass
class Acted:
    """A provider that does what ``act`` does, and counts what it is sent.

    ``midway`` is raised after the first word of an answer where it is set.
    """

    act: Act
    sent: int = 0
    midway: Callable[[], Exception | None] = lambda: None

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """One request."""
        self.sent += 1
        await self.act()
        facts = Facts(Usage(1, 1), model, "id", ["stop"], True, 2)
        return Reply(True, self._events(), facts)

    async def _events(self) -> AsyncIterator[Event]:
        yield Chunk({"choices": [{"index": 0, "delta": {"content": "o"}}]})
        if (error := self.midway()) is not None:
            raise error
        yield Chunk({"choices": [{"index": 0, "delta": {"content": "k"}}]})
        yield Done()


def pool_of(
    providers: Mapping[str, Acted], clock: Callable[[], float] | None = None, **members: Any
) -> Pool:
    """A pool with a target a provider; ``clock`` gives its breakers and rests the time."""
    targets = [{"provider": p, "model": p} for p in providers]
    settings = PoolSettings.model_validate({"name": "p", "targets": targets, **members})
    made = Pool.build(settings, dict(providers), lambda target: None)
    if clock is not None:
        for state in made.states:
            state.breaker = Breaker(settings.breaker, clock)
            state.rest = Rest(clock)
    return made


def router_of(*pools: Pool) -> Router:
    """A router that writes no journal and knows no price."""
    return Router({p.name: p for p in pools}, Attempts(lambda line: None, _FreePrices()), "hash")


async def begun(router: Router, ctx: Context | None = None) -> Reply:
    """A call's reply, whose events have not been read. Raises what the router raises."""
    ctx = ctx or Context(route="r", request={}, principal=WHO)
    request = ModelRequest({"messages": []}, stream=True, context=ctx)
    return await router.call("p", request, Purpose.SERVE, WHO, ctx)


async def called(router: Router, ctx: Context | None = None) -> str:
    """A call from its beginning to its last event."""
    reply = await begun(router, ctx)
    words = []
    async for event in reply.events:
        if isinstance(event, Chunk):
            words.append(event.body["choices"][0]["delta"]["content"])
    return "".join(words)


async def succeeded(work: Awaitable[str]) -> bool:
    """Whether a call got its whole answer; errors that are no upstream's are raised."""
    try:
        return await work == "ok"
    except UpstreamError:
        return False


@contextmanager
def same_draws() -> Iterator[None]:
    """Every draw of strategies, jitter and simulations is the same in every run."""
    state = random.getstate()
    random.seed(20260)
    yield
    random.setstate(state)


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    yields = asyncio.sleep

    async def sleep(seconds: float) -> None:
        await yields(0)

    monkeypatch.setattr("headgate_gateway.routing.router.asyncio.sleep", sleep)
