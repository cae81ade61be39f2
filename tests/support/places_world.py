"""Targets that count the calls that they have at once, from the asking to the last event."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripted_pool import OUT

from headgate_core.context import Context
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Event, Facts, Owned, Reply
from headgate_core.settings.pools import PoolSettings
from headgate_core.types import Principal, Purpose, Usage
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router


@dataclass
class Counted:
    """Takes up to ``slow_s`` for each half of an answer, and fails that share of its calls.

    ``gate``, where there is one, must be open before it answers.
    """

    fails: float = 0.0
    slow_s: float = 0.0
    gate: asyncio.Event | None = None
    draw: random.Random = field(default_factory=lambda: random.Random(7))
    now: int = 0
    loads: list[int] = field(default_factory=list)
    """How many calls it had, at the beginning of each."""

    @property
    def peak(self) -> int:
        """The most calls that it had at once."""
        return max(self.loads, default=0)

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """One request."""
        self.now += 1
        self.loads.append(self.now)
        ended = self._once()
        try:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(self.draw.random() * self.slow_s)
            if self.draw.random() < self.fails:
                raise OUT
        except BaseException:
            ended()
            raise

        async def unused() -> None:
            ended()

        facts = Facts(Usage(1, 1), model, "id", ["stop"], True, 2)
        return Reply(True, Owned(self._events(ended), unused), facts)

    def _once(self) -> Callable[[], None]:
        open_calls = [1]

        def ended() -> None:
            if open_calls:
                self.now -= open_calls.pop()

        return ended

    async def _events(self, ended: Callable[[], None]) -> AsyncIterator[Event]:
        try:
            yield Chunk({"choices": [{"index": 0, "delta": {"content": "o"}}]})
            await asyncio.sleep(self.draw.random() * self.slow_s)
            yield Chunk({"choices": [{"index": 0, "delta": {"content": "k"}}]})
            ended()  # a model server has no more work with a call whose end it has sent
            yield Done()
        finally:
            ended()


def counted_pool(targets: Mapping[str, Counted], places: int, **members: Any) -> Pool:
    """A pool with so many places a target; its line is long and patient."""
    line = {"waiting": 5000, "wait_s": 60, **members.pop("queue", {})}
    settings = PoolSettings.model_validate(
        {
            "name": "p",
            "targets": [{"provider": name, "model": name} for name in targets],
            "queue": {"in_flight_per_target": places, **line},
            **members,
        }
    )
    return Pool.build(settings, dict(targets), lambda target: None)


async def call_as(router: Router, key: str = "k") -> str:
    """A whole call of the key's owner; returns the words of the answer."""
    who = Principal(key_id=key)
    ctx = Context(route="r", request={}, principal=who)
    request = ModelRequest({"messages": []}, stream=True, context=ctx)
    words = []
    try:
        reply = await router.call("p", request, Purpose.SERVE, who, ctx)
        async for event in reply.events:
            if isinstance(event, Chunk):
                words.append(event.body["choices"][0]["delta"]["content"])
    finally:
        for close in reversed(ctx.closers):
            await close()
    return "".join(words)


async def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that must come about; ``what`` says what has not."""
    for _ in range(20_000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError(what)


def at_rest(pool: Pool) -> bool:
    """Whether nothing is counted any more."""
    return (pool.queue.taken, pool.queue.length) == (0, 0) and not any(
        state.in_flight for state in pool.states
    )
