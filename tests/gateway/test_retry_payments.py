"""What retries cost, and who pays: nobody for one that is never sent, nor for others' clients."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from jumping_clock import run_jumping
from scripted_pool import OUT, WHO, Acted, breaks, called, pool_of, router_of, works

from headgate_core.context import Context
from headgate_core.errors import Overloaded, UpstreamError, UpstreamStatus, UpstreamTimeout
from headgate_core.ports import ModelRequest
from headgate_core.types import Principal, Purpose
from headgate_gateway.routing.retry_budget import RetryBudget
from headgate_gateway.routing.router import Router

BUSY = UpstreamStatus("busy", upstream_status=503, retry_after_s=3.0)


async def asked(router: Router, who: str = "k", *, repeats: bool = False) -> bool:
    """A call by this key's holder, whose client may say that it repeats an earlier one."""
    principal = Principal(key_id=who)
    ctx = Context(route="r", request={}, principal=principal)
    if repeats:
        ctx.notes["sdk_retry"] = True
    request = ModelRequest({"messages": []}, stream=True, context=ctx)
    try:
        async for _ in (await router.call("p", request, Purpose.SERVE, principal, ctx)).events:
            pass
    except UpstreamError:
        return False
    return True


def once(error: Exception) -> Callable[[], Awaitable[None]]:
    """Fails the first time, then answers."""
    left = [error]

    async def act() -> None:
        if left:
            raise left.pop()

    return act


def test_callers_who_hang_up_in_the_pause_before_a_retry_have_used_up_none() -> None:
    async def run() -> None:
        one = Acted(breaks(BUSY))
        router = router_of(pool_of({"a": one}, breaker={"least_calls": 1000}))
        for _ in range(12):
            one.act = once(BUSY)
            call = asyncio.ensure_future(asked(router))
            await asyncio.sleep(1)
            call.cancel()
            await asyncio.wait([call])
            one.act = works
            await asked(router)  # so that its faults do not come in a row
        assert one.sent == 24
        for _ in range(10):
            one.act = once(OUT)
            assert await asked(router), "the retries are used up"

    run_jumping(run())


@pytest.mark.parametrize("paid_before", [0, 100])
def test_a_client_that_says_it_repeats_calls_uses_up_no_retry_of_others(paid_before: int) -> None:
    async def run() -> None:
        one = Acted(works)
        router = router_of(pool_of({"a": one}))
        for _ in range(paid_before):
            assert await asked(router, "noisy")
        for _ in range(500):
            assert await asked(router, "noisy", repeats=True)
        # The reserve is what no caller has earned. What the noisy one took came out of the pool,
        # and it was at most what he had put in.
        one.act = once(OUT)
        assert await asked(router, "quiet")

    run_jumping(run())


def test_what_a_caller_repeats_is_taken_from_what_he_has_earned() -> None:
    budget = RetryBudget(0.1, reserve=10)
    for _ in range(10):
        assert budget.spend()
    for _ in range(30):
        budget.earn("one")
    budget.repeated("two")
    for _ in range(2):
        budget.repeated("one")
    assert budget.spend()
    assert not budget.spend()


def test_what_is_owed_stays_bounded_however_fast_it_is_asked_for() -> None:
    now = [0.0]
    budget = RetryBudget(0.1, reserve=10, full_in_s=60, clock=lambda: now[0])
    granted = 0
    for _ in range(10_000):
        now[0] += 1e-6
        granted += budget.pay("debt")
    assert granted == 110


def test_no_hedge_is_paid_that_is_not_sent() -> None:
    async def run() -> None:
        async def slow() -> None:
            await asyncio.sleep(1)

        acted, other = Acted(slow), Acted(works)
        pool = pool_of({"a": acted, "b": other}, hedge={"max_share": 0.5})
        for _ in range(30):
            pool.states[0].answered(0.1)
        while pool.retries.spend():
            pass
        router = router_of(pool)
        assert await called(router) == "ok"
        assert other.sent == 0
        assert pool.hedges is not None and pool.hedges.affords("token")

    run_jumping(run())


def test_a_retry_at_a_target_that_cannot_take_the_request_costs_nothing() -> None:
    class Picky(Acted):
        async def unsupported(self, request: ModelRequest, model: str) -> list[str]:
            return ["logit_bias"]

    async def run() -> None:
        failing, picky = Acted(breaks(OUT)), Picky(works)
        pool = pool_of({"a": failing, "b": picky})
        while pool.retries.affords("token"):
            pool.retries.spend()
        for _ in range(10):
            pool.retries.earn()
        assert pool.retries.affords("token")
        with pytest.raises(UpstreamError):
            await called(router_of(pool))
        assert (failing.sent, picky.sent) == (1, 0)
        assert pool.retries.affords("token")

    asyncio.run(run())


def test_no_attempt_begins_when_the_calls_time_is_over() -> None:
    """The place comes free at the very moment when all the waiting calls' time is over."""

    async def run() -> None:
        async def slow() -> None:
            await asyncio.sleep(50)

        own, spare = Acted(slow), Acted(works)
        pools = (
            pool_of(
                {"a": own},
                queue={"in_flight_per_target": 1, "waiting": 10, "wait_s": 10},
                timeouts={"total_s": 2, "first_token_s": 2},
                fallbacks=["spare"],
            ),
            pool_of({"s": spare}, name="spare", timeouts={"total_s": 2}),
        )
        router = router_of(*pools)
        contexts = [Context(route="r", request={}, principal=WHO) for _ in range(4)]
        calls = [called(router, ctx) for ctx in contexts]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(ended[0], UpstreamTimeout)
        assert all(isinstance(e, Overloaded | UpstreamTimeout) for e in ended)
        assert (own.sent, spare.sent) == (1, 0)
        assert [len(ctx.attempts) for ctx in contexts] == [1, 0, 0, 0]

    run_jumping(run())
