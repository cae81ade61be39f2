"""A pool that is known to be down comes after a fallback that works, and before none at all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from scripted_pool import OUT, WHO, Acted, breaks, called, pool_of, router_of, works

from headgate_core.context import Context
from headgate_core.errors import UpstreamError, UpstreamStatus
from headgate_gateway.routing.pools import Pool


def context() -> Context:
    return Context(route="r", request={}, principal=WHO)


def attempts(ctx: Context) -> list[tuple[str, str, str, str]]:
    return [(a["pool"], a["provider"], a["why"], a["outcome"]) for a in ctx.attempts]


def opened(pool: Pool) -> None:
    """All its breakers are open."""
    for state in pool.states:
        for _ in range(5):
            state.faulted(OUT)
        assert state.breaker.state == "open"


def disabled(pool: Pool) -> None:
    for state in pool.states:
        state.disabled_until = datetime.now(UTC) + timedelta(hours=1)


def throttled(pool: Pool) -> None:
    for state in pool.states:
        state.faulted(UpstreamStatus("busy", upstream_status=429, retry_after_s=60))


@pytest.mark.parametrize("out", [opened, disabled, throttled])
def test_the_fallback_goes_first_while_no_target_of_the_pool_is_available(out: object) -> None:
    async def run() -> None:
        own, spare = Acted(works), Acted(works)
        main = pool_of({"a": own}, fallbacks=["spare"])
        assert callable(out)
        out(main)
        ctx = context()
        await called(router_of(main, pool_of({"s": spare}, name="spare")), ctx)
        assert attempts(ctx) == [("spare", "s", "fallback", "ok")]
        assert ctx.degraded == ["route: no target of the pool p was available"]
        assert own.sent == 0

    asyncio.run(run())


@pytest.mark.parametrize("out", [opened, disabled, throttled])
def test_the_pool_comes_last_where_the_fallback_fails(out: object) -> None:
    async def run() -> None:
        main = pool_of({"a": Acted(works)}, fallbacks=["spare"])
        assert callable(out)
        out(main)
        ctx = context()
        spare = pool_of({"s": Acted(breaks(OUT))}, name="spare", retries={"attempts": 1})
        assert await called(router_of(main, spare), ctx) == "ok"
        assert attempts(ctx) == [("spare", "s", "fallback", "error"), ("p", "a", "fallback", "ok")]

    asyncio.run(run())


@pytest.mark.parametrize("out", [opened, disabled])
def test_the_pool_is_used_all_the_same_where_no_fallback_is_available(out: object) -> None:
    async def run() -> None:
        own, spare = Acted(works), Acted(works)
        pools = pool_of({"a": own}, fallbacks=["spare"]), pool_of({"s": spare}, name="spare")
        assert callable(out)
        for pool in pools:
            out(pool)
        ctx = context()
        assert await called(router_of(*pools), ctx) == "ok"
        assert attempts(ctx) == [("p", "a", "first", "ok")]
        assert ctx.degraded == []

    asyncio.run(run())


def test_the_fallback_of_a_fallback_counts_too() -> None:
    async def run() -> None:
        pools = (
            pool_of({"a": Acted(works)}, fallbacks=["second"]),
            pool_of({"b": Acted(works)}, name="second", fallbacks=["third"]),
            pool_of({"c": Acted(works)}, name="third"),
        )
        opened(pools[0])
        opened(pools[1])
        ctx = context()
        await called(router_of(*pools), ctx)
        assert attempts(ctx) == [("third", "c", "fallback", "ok")]

    asyncio.run(run())


def test_a_pool_that_is_half_open_gets_its_trial_call() -> None:
    async def run() -> None:
        now = [0.0]
        own = Acted(works)
        main = pool_of({"a": own}, lambda: now[0], fallbacks=["spare"])
        opened(main)
        router = router_of(main, pool_of({"s": Acted(works)}, name="spare"))
        await called(router)
        assert own.sent == 0
        now[0] = 15
        await called(router)
        assert (own.sent, main.states[0].breaker.state) == (1, "closed")

    asyncio.run(run())


def test_fallbacks_for_other_failures_stand_in_for_nothing() -> None:
    async def run() -> None:
        own = Acted(breaks(OUT))
        main = pool_of({"a": own}, fallbacks={"context_window": ["long"]})
        opened(main)
        with pytest.raises(UpstreamError):
            await called(router_of(main, pool_of({"l": Acted(works)}, name="long")))
        assert own.sent > 0

    asyncio.run(run())
