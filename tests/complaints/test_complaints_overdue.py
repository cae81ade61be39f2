"""C21: a whole answer that is long in coming goes on beside the next try; simulated clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from jumping_clock import run_jumping
from scripted_pool import OUT, WHO, Acted, breaks, hangs_for_ever, pool_of, router_of, works

from headgate_core.context import Context
from headgate_core.errors import HeadgateError, UpstreamStatus, UpstreamTimeout
from headgate_core.ports import ModelRequest
from headgate_core.types import Purpose
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

PATIENCE_S = 10.0


def takes(seconds: float, then: Callable[[], Awaitable[None]] = works) -> Acted:
    """A target that does so after so long."""

    async def act() -> None:
        await asyncio.sleep(seconds)
        await then()

    return Acted(act)


def loops_pool(providers: dict[str, Acted], **members: Any) -> Pool:
    """A pool whose breakers go by the clock of the loop, and whose first target comes first."""
    members = {"strategy": "priority", **members}
    return pool_of(providers, lambda: asyncio.get_running_loop().time(), **members)


class Asked:
    """One call for a whole answer by a caller who waits ``PATIENCE_S``: how it ended, and when."""

    def __init__(self) -> None:
        self.ctx = Context(route="r", request={}, principal=WHO)
        self.ctx.notes["waits_s"] = PATIENCE_S
        self.error: HeadgateError | None = None
        self.after_s = 0.0

    async def through(self, router: Router) -> Asked:
        """Make the call."""
        begun = asyncio.get_running_loop().time()
        request = ModelRequest({"messages": []}, context=self.ctx)
        try:
            reply = await router.call("p", request, Purpose.SERVE, WHO, self.ctx)
            async for _ in reply.events:
                pass
        except HeadgateError as error:
            self.error = error
        self.after_s = asyncio.get_running_loop().time() - begun
        return self

    @property
    def attempts(self) -> list[tuple[str, str, str]]:
        """Target, why it was asked, and how that ended, by each attempt."""
        return [(a["provider"], a["why"], a["outcome"]) for a in self.ctx.attempts]


def asked(*pools: Pool) -> Asked:
    """The first call of these pools, from its beginning to its end."""

    async def run() -> Asked:
        return await Asked().through(router_of(*pools))

    found = run_jumping(run())
    assert [state.in_flight for pool in pools for state in pool.states if state.in_flight] == []
    return found


@pytest.mark.parametrize("share", [0.3, 0.55, 0.75, 0.95])
def test_an_answer_that_takes_most_of_the_callers_patience_comes_from_any_target(
    share: float,
) -> None:
    async def run() -> list[Asked]:
        both = loops_pool({"a": takes(share * PATIENCE_S), "b": takes(share * PATIENCE_S)})
        router = router_of(both)
        found = await asyncio.gather(*(Asked().through(router) for _ in range(60)))
        assert [s.breaker.state for s in both.states] == ["closed", "closed"]
        return found

    found = run_jumping(run())
    assert [one.error for one in found] == [None] * 60
    assert all(one.after_s == pytest.approx(share * PATIENCE_S) for one in found)


def test_a_target_that_hangs_leaves_half_of_the_time_to_the_next_one() -> None:
    found = asked(loops_pool({"a": Acted(hangs_for_ever), "b": takes(2)}))
    assert found.error is None and found.after_s == pytest.approx(PATIENCE_S / 2 + 2)
    assert found.attempts == [("a", "first", "cancelled"), ("b", "retry", "ok")]
    assert found.ctx.attempts[0]["error"] == "another attempt answered first"


def test_the_first_one_may_still_win() -> None:
    pool = loops_pool({"a": takes(6), "b": takes(3)})
    found = asked(pool)
    assert found.error is None and found.after_s == pytest.approx(6)
    assert found.attempts == [("a", "first", "ok"), ("b", "retry", "cancelled")]
    assert [state.breaker.state for state in pool.states] == ["closed", "closed"]


def test_after_the_second_has_failed_the_third_is_asked_beside_the_first() -> None:
    pool = loops_pool({"a": Acted(hangs_for_ever), "b": Acted(breaks(OUT)), "c": takes(1)})
    found = asked(pool)
    assert found.error is None
    assert [name for name, *_ in found.attempts] == ["a", "b", "c"]


def test_a_first_one_that_fails_late_does_not_end_what_goes_on_beside_it() -> None:
    found = asked(loops_pool({"a": takes(6, breaks(OUT)), "b": takes(4)}))
    assert found.error is None and found.after_s == pytest.approx(9)
    assert found.attempts == [("a", "first", "error"), ("b", "retry", "ok")]


def test_a_fallback_is_asked_beside_a_pools_only_target() -> None:
    alone = loops_pool({"a": takes(9)}, fallbacks={"error": ["q"]})
    other = loops_pool({"b": Acted(hangs_for_ever)}, name="q")
    found = asked(alone, other)
    assert found.error is None and found.after_s == pytest.approx(9)
    assert found.attempts == [("a", "first", "ok"), ("b", "fallback", "cancelled")]
    quick = loops_pool({"b": takes(1)}, name="q")
    found = asked(loops_pool({"a": takes(9)}, fallbacks={"error": ["q"]}), quick)
    assert found.error is None and found.after_s == pytest.approx(6)


def test_an_error_that_the_caller_must_mend_is_told_at_once_by_the_same_model() -> None:
    refused = UpstreamStatus("no such parameter", upstream_status=400)
    same = [{"provider": name, "model": "m"} for name in "ab"]
    both = {"a": takes(8), "b": takes(1, breaks(refused))}
    found = asked(loops_pool(both, targets=same))
    assert found.error is refused and found.after_s == pytest.approx(6)
    assert found.attempts == [("a", "first", "cancelled"), ("b", "retry", "error")]
    assert found.ctx.attempts[0]["error"], "an attempt is cancelled without a reason"


def test_another_models_refusal_does_not_end_the_first_ones_work() -> None:
    refused = UpstreamStatus("no such parameter", upstream_status=400)
    found = asked(loops_pool({"a": takes(8), "b": takes(1, breaks(refused))}))
    assert found.error is None and found.after_s == pytest.approx(8)
    hangs = Acted(hangs_for_ever)
    found = asked(loops_pool({"a": hangs, "b": takes(1, breaks(refused))}))
    assert found.error is refused and found.after_s == pytest.approx(PATIENCE_S)


def test_where_nothing_else_is_left_the_first_one_has_all_the_time() -> None:
    found = asked(loops_pool({"a": takes(9), "b": takes(1)}, retries={"attempts": 1}))
    assert found.error is None and found.attempts == [("a", "first", "ok")]
    hangs = Acted(hangs_for_ever)
    found = asked(loops_pool({"a": hangs, "b": Acted(breaks(OUT))}, retries={"attempts": 1}))
    assert isinstance(found.error, UpstreamTimeout) and "total_s" in found.error.message
    assert found.after_s == pytest.approx(PATIENCE_S)


def test_when_both_fail_the_later_word_is_told() -> None:
    found = asked(loops_pool({"a": Acted(hangs_for_ever), "b": Acted(breaks(OUT))}))
    assert found.error is OUT and found.after_s == pytest.approx(PATIENCE_S)
    assert found.attempts[0] == ("a", "first", "error")


def test_a_caller_who_leaves_ends_both() -> None:
    async def run() -> None:
        pool = loops_pool({"a": Acted(hangs_for_ever), "b": Acted(hangs_for_ever)})
        caller = Asked()
        call = asyncio.ensure_future(caller.through(router_of(pool)))
        await asyncio.sleep(0.8 * PATIENCE_S)
        assert [state.in_flight for state in pool.states] == [1, 1]
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call
        assert [state.in_flight for state in pool.states] == [0, 0]
        assert {outcome for *_, outcome in caller.attempts} == {"cancelled"}
        assert {a["error"] for a in caller.ctx.attempts} == {""}
        assert len(asyncio.all_tasks()) == 1

    run_jumping(run())


def test_places_are_held_by_both_and_given_back() -> None:
    async def run() -> None:
        queue = {"in_flight_per_target": 1, "waiting": 10, "wait_s": 100}
        pool = loops_pool({"a": Acted(hangs_for_ever), "b": takes(1)}, queue=queue)
        router = router_of(pool)
        found = [await Asked().through(router) for _ in range(3)]
        assert [one.error for one in found] == [None] * 3
        assert all(pool.queue.room(state) for state in pool.states)

    run_jumping(run())


def test_a_target_that_begins_to_hang_leaves_half_though_its_answers_took_a_third() -> None:
    async def run() -> None:
        own = takes(0.4 * PATIENCE_S)
        router = router_of(loops_pool({"a": own, "b": takes(0.4 * PATIENCE_S)}))
        assert (await Asked().through(router)).error is None
        own.act = hangs_for_ever
        found = await Asked().through(router)
        assert found.error is None and found.after_s == pytest.approx(0.9 * PATIENCE_S)

    run_jumping(run())


def test_a_trial_call_that_is_overdue_and_answered_after_all_puts_the_target_back() -> None:
    async def run() -> None:
        own = takes(1)
        pool = loops_pool({"a": own, "b": takes(1)})
        router, shown = router_of(pool), pool.states[0].shown
        await Asked().through(router)
        own.act = breaks(OUT)
        for _ in range(5):
            await Asked().through(router)
        assert shown() == "open"
        own.act = takes(5.5).act
        await asyncio.sleep(15)
        found = await Asked().through(router)
        assert found.attempts[0] == ("a", "first", "ok") and found.after_s == pytest.approx(5.5)
        assert shown() == "closed"

    run_jumping(run())


def test_a_hedge_counts_as_a_try_of_its_target() -> None:
    async def run() -> None:
        own = takes(1)
        asked_of = {"a": own, "b": Acted(hangs_for_ever), "c": takes(1)}
        pool = loops_pool(asked_of, hedge={"max_share": 0.5})
        router = router_of(pool)
        for _ in range(30):
            await Asked().through(router)
        own.act = hangs_for_ever
        found = await Asked().through(router)
        assert found.error is None
        assert [(who, why) for who, why, _ in found.attempts] == [
            ("a", "first"), ("b", "hedge"), ("c", "retry"),
        ]  # fmt: skip

    run_jumping(run())
