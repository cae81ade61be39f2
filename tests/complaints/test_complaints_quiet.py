"""C21, C45: pools with few calls, long answers and long outages; the clock is the loop's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from jumping_clock import run_jumping
from scripted_pool import WHO, Acted, breaks, hangs_for_ever, pool_of, router_of, works

from headgate_core.context import Context
from headgate_core.errors import UpstreamError, UpstreamStatus, UpstreamUnreachable
from headgate_core.ports import ModelRequest
from headgate_core.types import Purpose
from headgate_gateway.routing.pools import RESERVE_S, Pool
from headgate_gateway.routing.retry_budget import RetryBudget
from headgate_gateway.routing.router import Router

FAILS = UpstreamStatus("broken", upstream_status=500)
LIMITED = UpstreamStatus("slow down", upstream_status=429)


def loops_pool(providers: dict[str, Acted], **members: Any) -> Pool:
    """A pool whose breakers, rests and retries go by the clock of the loop."""
    clock = asyncio.get_running_loop().time
    pool = pool_of(providers, clock, **members)
    pool.retries = RetryBudget(pool.settings.retries.extra_share, full_in_s=RESERVE_S, clock=clock)
    return pool


def takes(seconds: float) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        await asyncio.sleep(seconds)

    return act


async def asked(
    router: Router, waits_s: float | None = None, ctx: Context | None = None
) -> UpstreamError | None:
    """A call for an answer in one piece; what it failed with."""
    ctx = ctx or Context(route="r", request={}, principal=WHO)
    if waits_s is not None:
        ctx.notes["waits_s"] = waits_s
    request = ModelRequest({"messages": []}, context=ctx)
    try:
        async for _ in (await router.call("p", request, Purpose.SERVE, WHO, ctx)).events:
            pass
    except UpstreamError as error:
        return error
    return None


async def load(router: Router, each_s: float, calls: int, waits_s: float | None = None) -> int:
    """A call each so many seconds; how many failed."""
    tasks = []
    for _ in range(calls):
        tasks.append(asyncio.ensure_future(asked(router, waits_s)))
        await asyncio.sleep(each_s)
    return sum(error is not None for error in await asyncio.gather(*tasks))


@pytest.mark.parametrize("each_s", [1, 5, 8, 10, 16, 30, 600])
def test_no_call_of_a_quiet_pool_fails_beside_a_target_that_works(each_s: float) -> None:
    async def run() -> None:
        pool = loops_pool({"a": Acted(breaks(FAILS)), "b": Acted(takes(0.1))})
        assert await load(router_of(pool), each_s, 150) == 0

    run_jumping(run())


def test_the_retries_of_a_quiet_pool_are_there_again_after_a_minute() -> None:
    async def run() -> None:
        turns = iter(range(10_000))

        async def fails_each_second_time() -> None:
            if next(turns) % 2:
                raise FAILS

        pool = loops_pool({"a": Acted(fails_each_second_time), "b": Acted(takes(0.1))})
        assert await load(router_of(pool), 5, 200) == 0
        assert pool.states[0].breaker.state == "closed", "it is no breaker that saves the calls"

    run_jumping(run())


def test_in_an_outage_of_all_targets_retries_are_a_tenth_beside_ten_a_minute() -> None:
    async def run() -> None:
        providers = {name: Acted(breaks(FAILS)) for name in "ab"}
        pool = loops_pool(providers, strategy="round_robin")
        calls, minutes = 1000, 2
        await load(router_of(pool), minutes * 60 / calls, calls)
        assert sum(p.sent for p in providers.values()) <= 1.1 * calls + 10 * (minutes + 1)

    run_jumping(run())


def test_after_an_outage_of_hours_one_throttled_call_rests_a_target_for_a_second() -> None:
    async def run() -> None:
        own, other = Acted(breaks(FAILS)), Acted(takes(0.1))
        pool = loops_pool({"a": own, "b": other})
        router = router_of(pool)
        assert await load(router, 7, 300) == 0
        own.act = takes(0.1)
        await load(router, 5, 15)
        own.act = breaks(LIMITED)
        assert await asked(router) is None
        own.act, other.sent = takes(0.1), 0
        assert await load(router, 0.5, 60) == 0
        assert other.sent <= 4

    run_jumping(run())


@pytest.mark.parametrize("said", ["maximum context length is 8192", "content policy violation"])
@pytest.mark.parametrize("own", [hangs_for_ever, breaks(FAILS)])
def test_a_pool_that_is_down_is_not_waited_for_when_the_fallback_refuses_the_request(
    own: Callable[[], Awaitable[None]], said: str
) -> None:
    async def run() -> None:
        refused = UpstreamStatus(said, upstream_status=400)
        down = Acted(own)
        pool = loops_pool({"a": down}, fallbacks=["f"])
        for _ in range(5):
            pool.states[0].faulted(FAILS)
        router = router_of(pool, pool_of({"f": Acted(breaks(refused))}, name="f"))
        assert await asked(router) is refused
        assert (down.sent, asyncio.get_running_loop().time()) == (0, 0)

    run_jumping(run())


def test_a_hanging_target_is_found_out_though_its_answers_take_a_fifth_of_the_patience() -> None:
    async def run() -> None:
        own, other = Acted(takes(4)), Acted(takes(4))
        pool = loops_pool({"a": own, "b": other})
        router = router_of(pool)
        assert await load(router, 0.2, 100, waits_s=20) == 0
        own.act, own.sent = hangs_for_ever, 0
        assert await load(router, 0.2, 1000, waits_s=20) == 0
        assert pool.states[0].breaker.state != "closed"
        assert own.sent < 150

    run_jumping(run())


def test_answers_that_take_more_than_half_of_the_patience_come_through_once_measured() -> None:
    async def run() -> None:
        providers = {name: Acted(takes(40)) for name in "ab"}
        pool = loops_pool(providers)
        router = router_of(pool)
        assert await asked(router, 100) is None  # by somebody with patience
        assert await load(router, 1, 60, waits_s=60) == 0
        assert sum(p.sent for p in providers.values()) == 61

    run_jumping(run())


def test_the_only_target_that_is_left_has_all_the_time_that_is_left() -> None:
    async def run() -> None:
        refuses = UpstreamUnreachable("refused")
        refuses.sent = False
        pool = loops_pool({"dead": Acted(breaks(refuses)), "slow": Acted(takes(35))})
        assert await load(router_of(pool), 1, 100, waits_s=60) == 0

    run_jumping(run())


def test_a_target_too_slow_for_the_callers_patience_leaves_half_of_it_to_the_next_one() -> None:
    async def run() -> None:
        pool = loops_pool({"a": Acted(takes(40)), "b": Acted(works)})
        router = router_of(pool)
        assert await asked(router, 100) is None
        assert await load(router, 1, 60, waits_s=30) == 0

    run_jumping(run())
