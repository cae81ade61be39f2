"""Choosing and surviving: scripted providers, an injected clock, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from scripted_pool import WHO, router_of

from headgate_core.context import Context
from headgate_core.errors import (
    Overloaded,
    UpstreamError,
    UpstreamStatus,
    UpstreamUnreachable,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Event, Facts, Reply
from headgate_core.settings.pools import PoolSettings
from headgate_core.types import Purpose, Usage
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router


@dataclass
class Scripted:
    """Raises or answers as its script says; the last entry stays."""

    script: list[Exception | str]
    models: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    closed: int = 0

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        self.models.append(model)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        if self.gate is not None:
            await self.gate.wait()
        facts = Facts(Usage(1, 1), model, "id", ["stop"], True, len(step))
        return Reply(True, self._events(step), facts)

    async def _events(self, text: str) -> AsyncIterator[Event]:
        try:
            for word in text.split():
                yield Chunk({"choices": [{"index": 0, "delta": {"content": word}}]})
            yield Done()
        finally:
            self.closed += 1


def pool(name: str, providers: dict[str, Scripted], **members: Any) -> Pool:
    targets = [{"provider": p, "model": p} for p in providers]
    settings = PoolSettings.model_validate({"name": name, "targets": targets, **members})
    return Pool.build(settings, providers, lambda target: None)


def context() -> Context:
    return Context(route="r", request={}, principal=WHO)


async def ask(router: Router, name: str, ctx: Context) -> str:
    request = ModelRequest({"messages": []}, stream=True, context=ctx)
    reply = await router.call(name, request, Purpose.SERVE, WHO, ctx)
    words = []
    async for event in reply.events:
        if isinstance(event, Chunk):
            words.append(event.body["choices"][0]["delta"]["content"])
    return " ".join(words)


def attempts(ctx: Context) -> list[tuple[str, str, str]]:
    return [(a["provider"], a["why"], a["outcome"]) for a in ctx.attempts]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries do not wait; the pauses that they would have made are kept."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("headgate_gateway.routing.router.asyncio.sleep", sleep)
    return pauses


def test_a_dead_target_is_replaced_by_the_next_one_and_both_are_on_record() -> None:
    dead, alive = Scripted([UpstreamUnreachable("no")]), Scripted(["hello there"])
    ctx = context()
    assert (
        asyncio.run(ask(router_of(pool("p", {"a": dead, "b": alive})), "p", ctx)) == "hello there"
    )
    assert attempts(ctx) == [("a", "first", "error"), ("b", "retry", "ok")]
    assert [a["purpose"] for a in ctx.attempts] == ["serve", "retry"]


def test_retry_after_is_the_least_wait_before_the_same_target(no_pause: list[float]) -> None:
    busy = Scripted([UpstreamStatus("busy", upstream_status=429, retry_after_s=3.0), "ok"])
    assert asyncio.run(ask(router_of(pool("p", {"a": busy})), "p", context())) == "ok"
    assert len(no_pause) == 1 and 2.9 < no_pause[0] <= 8.0


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        (UpstreamStatus("x", upstream_status=500), "general"),
        (UpstreamStatus("maximum context length is 8192", upstream_status=400), "long"),
        (UpstreamStatus("x", upstream_status=400, upstream_code="content_filter"), "tolerant"),
    ],
)
def test_each_class_of_failure_has_its_own_fallback(failure: UpstreamError, answer: str) -> None:
    pools = [
        pool(
            "p",
            {"a": Scripted([failure])},
            fallbacks={"error": ["e"], "context_window": ["c"], "content_policy": ["t"]},
        ),
        pool("e", {"e": Scripted(["general"])}),
        pool("c", {"c": Scripted(["long"])}),
        pool("t", {"t": Scripted(["tolerant"])}),
    ]
    assert asyncio.run(ask(router_of(*pools), "p", context())) == answer


def test_a_plain_client_error_goes_to_no_fallback() -> None:
    wrong = UpstreamStatus("temperature is wrong", upstream_status=400)
    pools = pool("p", {"a": Scripted([wrong])}, fallbacks=["e"]), pool("e", {"e": Scripted(["x"])})
    ctx = context()
    with pytest.raises(UpstreamStatus):
        asyncio.run(ask(router_of(*pools), "p", ctx))
    assert len(ctx.attempts) == 1


def test_extra_load_from_retries_stays_within_a_tenth_and_the_reserve() -> None:
    dead = Scripted([UpstreamUnreachable("no")])
    router = router_of(pool("p", {"a": dead}, breaker={"least_calls": 1_000_000}))

    async def run() -> None:
        for _ in range(1000):
            with pytest.raises(UpstreamError):
                await ask(router, "p", context())

    asyncio.run(run())
    assert len(dead.models) <= 1000 * 1.1 + 10


def test_a_broken_target_is_left_alone_but_the_last_one_never() -> None:
    dead, alive = Scripted([UpstreamUnreachable("no")]), Scripted(["ok"])
    settings = {"least_calls": 3, "open_s": 1000}
    both = pool("p", {"a": dead, "b": alive}, breaker=settings)
    router = router_of(both)

    async def run() -> None:
        for _ in range(10):
            assert await ask(router, "p", context()) == "ok"
        assert len(dead.models) == 3
        alive.script[:] = [UpstreamUnreachable("no")]
        for _ in range(5):
            with pytest.raises(UpstreamError):
                await ask(router, "p", context())

    asyncio.run(run())
    assert [s.breaker.state for s in both.states] == ["open", "open"]
    alive.script[:] = ["back"]
    dead.script[:] = ["back"]
    assert asyncio.run(ask(router, "p", context())) == "back"


def test_a_callers_own_mistakes_do_not_open_the_breaker() -> None:
    wrong = UpstreamStatus("no", upstream_status=400)
    one = pool("p", {"a": Scripted([wrong])}, breaker={"least_calls": 1})

    async def run() -> None:
        for _ in range(5):
            with pytest.raises(UpstreamStatus):
                await ask(router_of(one), "p", context())

    asyncio.run(run())
    assert one.states[0].breaker.state == "closed"


def test_in_flight_counters_return_to_zero_whatever_happens() -> None:
    flaky = Scripted([UpstreamUnreachable("no"), "a b", UpstreamStatus("x", upstream_status=400)])
    one = pool("p", {"a": flaky})
    router = router_of(one)

    async def run() -> None:
        await ask(router, "p", context())
        with pytest.raises(UpstreamStatus):
            await ask(router, "p", context())
        flaky.script[:] = ["never looked at"]
        ctx = context()
        request = ModelRequest({"messages": []}, stream=True, context=ctx)
        await router.call("p", request, Purpose.SERVE, WHO, ctx)
        for close in ctx.closers:
            await close()
        assert attempts(ctx) == [("a", "first", "cancelled")]

    asyncio.run(run())
    assert one.states[0].in_flight == 0


def test_a_hedge_wins_when_the_first_is_slow_and_the_loser_is_cancelled() -> None:
    async def run() -> None:
        slow, quick = Scripted(["slow"]), Scripted(["quick"])
        both = pool("p", {"a": slow, "b": quick}, hedge={"max_share": 0.5})
        for state in both.states:
            for _ in range(30):
                state.answered(0.001)
        slow.gate = asyncio.Event()
        ctx = context()
        assert await ask(router_of(both), "p", ctx) == "quick"
        assert sorted(attempts(ctx)) == [("a", "first", "cancelled"), ("b", "hedge", "ok")]
        assert [s.in_flight for s in both.states] == [0, 0]

    asyncio.run(run())


def test_a_full_queue_refuses_and_a_free_place_goes_to_whoever_waits() -> None:
    async def run() -> None:
        busy = Scripted(["one two"])
        busy.gate = asyncio.Event()
        one = pool("p", {"a": busy}, queue={"in_flight_per_target": 1, "waiting": 1, "wait_s": 60})
        router = router_of(one)
        first = asyncio.ensure_future(ask(router, "p", context()))
        while not busy.models:
            await asyncio.wait([first], timeout=0.001)
        second = asyncio.ensure_future(ask(router, "p", context()))
        queue = one.queue
        assert queue is not None
        while queue.length == 0:
            await asyncio.wait([second], timeout=0.001)
        with pytest.raises(Overloaded):
            await ask(router, "p", context())
        busy.gate.set()
        assert await first == await second == "one two"
        assert queue.length == 0

    asyncio.run(run())


def test_a_target_that_only_ever_fails_is_left_alone_after_five_faults() -> None:
    dead, alive = Scripted([UpstreamStatus("x", upstream_status=503)]), Scripted(["ok"])
    router = router_of(pool("p", {"a": dead, "b": alive}))

    async def run() -> None:
        for _ in range(20):
            assert await ask(router, "p", context()) == "ok"

    asyncio.run(run())
    assert len(dead.models) == 5


def test_an_attempt_that_reached_nobody_takes_no_retry_budget() -> None:
    refused = UpstreamUnreachable("refused")
    refused.sent = False
    dead, alive = Scripted([refused]), Scripted(["ok"])
    settings = {"breaker": {"least_calls": 1000, "error_share": 1.0}, "retries": {"extra_share": 0}}
    both = pool("p", {"a": dead, "b": alive}, **settings)

    async def run() -> None:
        for _ in range(30):
            breaker = both.states[0].breaker
            breaker.succeeded(breaker.sent())  # it is tried first every time
            assert await ask(router_of(both), "p", context()) == "ok"

    asyncio.run(run())
    assert len(dead.models) == 30


def test_a_target_that_refused_its_key_is_not_asked_again_by_the_same_call() -> None:
    refusing = Scripted([UpstreamStatus("no", upstream_status=401)])
    with pytest.raises(UpstreamStatus):
        asyncio.run(
            ask(router_of(pool("p", {"a": refusing}, retries={"attempts": 3})), "p", context())
        )
    assert len(refusing.models) == 1


def test_no_retry_waits_beyond_the_time_that_the_call_has(no_pause: list[float]) -> None:
    busy = Scripted([UpstreamStatus("busy", upstream_status=429, retry_after_s=3.0), "ok"])
    with pytest.raises(UpstreamStatus):
        asyncio.run(ask(router_of(pool("p", {"a": busy}, timeouts={"total_s": 2})), "p", context()))
    assert no_pause == []
