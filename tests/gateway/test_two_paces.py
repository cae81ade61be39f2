"""Streams' first tokens and whole answers are measured apart, and new targets with care."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from in_process import eventually
from jumping_clock import run_jumping
from scripted_pool import WHO, Acted, hangs_for_ever, pool_of, router_of, works

from headgate_core.context import Context
from headgate_core.ports import Candidate, ModelRequest, Target
from headgate_core.types import Purpose
from headgate_gateway.operations.live import target_rows
from headgate_gateway.routing.router import Router
from headgate_gateway.routing.strategies.lowest_latency import LowestLatency


async def asked(router: Router, *, stream: bool) -> Context:
    """A call of this kind, to its end."""
    ctx = Context(route="r", request={}, principal=WHO)
    request = ModelRequest({"messages": []}, stream=stream, context=ctx)
    async for _ in (await router.call("p", request, Purpose.SERVE, WHO, ctx)).events:
        pass
    return ctx


async def warmed(acted: Acted, router: Router, streams: int, wholes: int) -> None:
    """First tokens after 0.2 s, whole answers after 2 s."""
    for stream, calls, seconds in ((True, streams, 0.2), (False, wholes, 2.0)):

        async def act(seconds: float = seconds) -> None:
            await asyncio.sleep(seconds)

        acted.act = act
        for _ in range(calls):
            await asked(router, stream=stream)


def test_whole_answers_change_nothing_of_the_time_to_first_token() -> None:
    async def run() -> None:
        acted = Acted(works)
        pool = pool_of({"a": acted})
        await warmed(acted, router_of(pool), 30, 30)
        state = pool.states[0]
        assert state.first_token_s == pytest.approx(0.2)
        assert state.p95_s(stream=True) == pytest.approx(0.2)
        assert state.p95_s(stream=False) == pytest.approx(2.0)
        assert state.candidate(stream=True).first_token_s == pytest.approx(0.2)
        assert state.candidate(stream=False).first_token_s == pytest.approx(2.0)
        assert target_rows([pool])[0]["first_token_s"] == pytest.approx(0.2)

    run_jumping(run())


@pytest.mark.parametrize(("stream", "hedges"), [(True, 1), (False, 0)])
def test_a_call_is_hedged_by_the_pace_of_its_own_kind(stream: bool, hedges: int) -> None:
    """An answer in one piece of 1.5 s is nothing unusual; a first token after 1.5 s is."""

    async def run() -> None:
        acted, other = Acted(works), Acted(works)
        pool = pool_of({"a": acted, "b": other}, hedge={"max_share": 0.5})
        router = router_of(pool)
        await warmed(acted, router, 30, 30)

        async def act() -> None:
            await asyncio.sleep(1.5)

        acted.act, other.sent = act, 0
        await asked(router, stream=stream)
        assert other.sent == hedges

    run_jumping(run())


def test_lowest_latency_chooses_for_each_kind_of_call_by_that_kind() -> None:
    async def run() -> None:
        strategy = {"use": "lowest_latency", "options": {"explore_share": 0}}
        pool = pool_of({"a": Acted(works), "b": Acted(works)}, strategy=strategy)
        quick, brief = pool.states
        for stream, of_quick, of_brief in ((True, 0.1, 0.5), (False, 9.0, 3.0)):
            quick.answered(of_quick, stream=stream)
            brief.answered(of_brief, stream=stream)
        assert pool.order(stream=True) == [quick, brief]
        assert pool.order(stream=False) == [brief, quick]
        ctx = await asked(router_of(pool), stream=False)
        assert ctx.attempts[0]["provider"] == "b"

    asyncio.run(run())


def test_a_target_that_was_never_measured_gets_no_burst() -> None:
    async def run() -> None:
        known, unknown = Acted(works), Acted(hangs_for_ever)
        strategy = {"use": "lowest_latency", "options": {"explore_share": 0}}
        pool = pool_of({"a": known, "b": unknown}, strategy=strategy)
        pool.states[0].answered(0.05)
        router = router_of(pool)
        burst = [asyncio.ensure_future(asked(router, stream=True)) for _ in range(200)]
        await eventually(lambda: sum(t.done() for t in burst) + unknown.sent == 200, "not all sent")
        assert 1 <= unknown.sent <= 110, "it took more than its half of the burst"
        before = unknown.sent
        for _ in range(100):
            await asked(router, stream=True)
        assert unknown.sent == before, "it is full of calls that have no answer yet"
        for task in burst:
            task.cancel()
        await asyncio.gather(*burst, return_exceptions=True)

    asyncio.run(run())


def test_an_unmeasured_target_counts_as_a_middling_one() -> None:
    def first(*candidates: Candidate) -> Counter[str]:
        strategy = LowestLatency(explore_share=0)
        draws = (strategy.order(candidates)[0].target.provider for _ in range(300))
        return Counter(draws)

    fast = Candidate(Target("fast", "m"), 2, 0.1)
    middling = Candidate(Target("middling", "m"), 0, 1.0)
    slow = Candidate(Target("slow", "m"), 0, 5.0)
    new = Candidate(Target("new", "m"))
    assert first(fast, middling, slow, new) == {"fast": 300}
    assert set(first(middling, slow, Candidate(Target("other", "m"), 0, 0.9), new)) == {"other"}
    tie = first(middling, slow, Candidate(Target("fast", "m"), 20, 0.1), new)
    assert min(tie["middling"], tie["new"]) > 90
    busy = Candidate(Target("busy", "m"), 5)
    assert first(new, busy) == {"new": 300}
