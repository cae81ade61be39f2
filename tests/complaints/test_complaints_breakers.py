"""C21: breakers take out what is sick, nobody else, and never the last target; simulated."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Iterator

import pytest
from in_process import eventually
from jumping_clock import run_jumping
from scripted_pool import (
    OUT,
    WHO,
    Acted,
    begun,
    breaks,
    called,
    hangs_for_ever,
    pool_of,
    router_of,
    same_draws,
    succeeded,
    without_pauses,
    works,
)

from headgate_core.context import Context
from headgate_core.errors import (
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUntranslated,
)
from headgate_core.reply import Owned
from headgate_gateway.routing.target_state import TargetState


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every draw of strategies, jitter and simulations is the same in every run."""
    with same_draws():
        yield


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    without_pauses(monkeypatch)


class BrownOut:
    """Targets that fail a share of their calls for a while, on a clock of the test's own."""

    def __init__(self, **shares: Callable[[float], float]) -> None:
        self.now = 0.0
        self.providers = {name: Acted(self._act(share)) for name, share in shares.items()}
        self.pool = pool_of(self.providers, lambda: self.now, strategy="weighted")
        self.router = router_of(self.pool)

    def _act(self, share: Callable[[float], float]) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            if random.random() < share(self.now):
                raise UpstreamStatus("browning out", upstream_status=503)

        return act

    async def availability(self, until_s: float, every_s: float = 0.05) -> tuple[float, float]:
        """Share of calls that succeed up to a time, and requests upstream for each of them."""
        before = sum(p.sent for p in self.providers.values())
        outcomes = []
        while self.now < until_s:
            outcomes.append(await succeeded(called(self.router)))
            self.now += every_s
        sent = sum(p.sent for p in self.providers.values()) - before
        return sum(outcomes) / len(outcomes), sent / len(outcomes)


def test_in_a_brown_out_the_targets_that_work_carry_the_calls(no_pause: None) -> None:
    def out(begin: float, end: float, share: float) -> Callable[[float], float]:
        return lambda now: share if begin <= now < end else 0.0

    async def run() -> None:
        world = BrownOut(a=out(60, 180, 0.7), b=out(120, 240, 1.0), c=lambda now: 0.0)
        assert await world.availability(60) == (1.0, 1.0)
        one_out = await world.availability(120)
        two_out = await world.availability(180)
        one_left = await world.availability(240)
        # Nothing of what the sick ones lose is lost to the callers, at a tenth of extra load.
        assert min(one_out[0], two_out[0], one_left[0]) >= 0.999
        assert max(one_out[1], two_out[1], one_left[1]) <= 1.1
        # Half-open probes bring them back: a while later all three have their share again.
        world.now = 300.0
        await world.availability(301)
        before = {name: p.sent for name, p in world.providers.items()}
        assert await world.availability(361) == (1.0, 1.0)
        for name, provider in world.providers.items():
            assert abs(provider.sent - before[name] - 400) < 3 * math.sqrt(1200 * 2 / 9)

    asyncio.run(run())


def test_a_brown_out_of_all_targets_takes_none_of_them_away(no_pause: None) -> None:
    async def run() -> None:
        half = {name: (lambda now: 0.5 if now >= 30 else 0.0) for name in "abc"}
        world = BrownOut(**half)
        await world.availability(30)
        share, load = await world.availability(150)
        # Without breakers and retries half of the calls succeed; neither may make it worse.
        assert share >= 0.5
        assert load <= 1.1 + 12 / 2400  # the reserve is spent once
        for provider in world.providers.values():
            provider.act = works
        world.now += 20  # longer than the breakers stay open
        assert await world.availability(world.now + 10) == (1.0, 1.0)

    asyncio.run(run())


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 429, 401, 402, 403])
def test_what_is_not_the_providers_fault_opens_no_breaker(no_pause: None, status: int) -> None:
    async def run() -> None:
        wrong = Acted(breaks(UpstreamStatus("no", upstream_status=status)))
        both = pool_of({"a": wrong, "b": Acted(works)}, breaker={"least_calls": 1})
        for _ in range(30):
            await succeeded(called(router_of(both)))
        assert both.states[0].breaker.state == "closed"
        rests = status in (429, 401, 402, 403)
        assert both.states[0].available() != rests
        assert wrong.sent == (1 if rests else 30)

    asyncio.run(run())


def test_a_request_that_was_never_sent_opens_no_breaker_and_is_not_retried(no_pause: None) -> None:
    async def run() -> None:
        wrong = Acted(breaks(UpstreamUntranslated("cannot be translated")))
        alone = pool_of({"a": wrong}, breaker={"least_calls": 1}, retries={"attempts": 3})
        for _ in range(10):
            with pytest.raises(UpstreamUntranslated):
                await called(router_of(alone))
        assert (wrong.sent, alone.states[0].breaker.state) == (10, "closed")
        both = pool_of({"a": wrong, "b": Acted(works)}, strategy="priority")
        ctx = Context(route="r", request={}, principal=WHO)
        assert await called(router_of(both), ctx) == "ok"
        assert [(a["n"], a["provider"], a["outcome"]) for a in ctx.attempts] == [(1, "b", "ok")]

    asyncio.run(run())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_target_that_redirects_is_replaced_like_one_that_fails(
    no_pause: None, status: int
) -> None:
    async def run() -> None:
        moved = Acted(breaks(UpstreamStatus("moved", upstream_status=status)))
        both = pool_of({"a": moved, "b": Acted(works)}, breaker={"least_calls": 1})
        assert await called(router_of(both)) == "ok"
        assert moved.sent == 1 and both.states[0].breaker.state == "open"
        alone = pool_of({"a": moved}, fallbacks=["spare"])
        spare = pool_of({"b": Acted(works)}, name="spare")
        assert await called(router_of(alone, spare)) == "ok"

    asyncio.run(run())


def test_hang_ups_and_abandoned_hedges_open_no_breaker() -> None:
    async def run() -> None:
        never = asyncio.Event()

        async def waits() -> None:
            await never.wait()

        slow, quick = Acted(waits), Acted(works)
        both = pool_of(
            {"a": slow, "b": quick}, breaker={"least_calls": 1}, hedge={"max_share": 1.0}
        )
        router = router_of(both)
        for _ in range(10):
            task = asyncio.ensure_future(called(router))
            sent = slow.sent
            await eventually(lambda sent=sent: slow.sent > sent, "not sent")  # type: ignore[misc]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for state in both.states:
            for _ in range(30):
                state.answered(0.001)  # so that the next calls are hedged
        assert await called(router) == "ok"
        assert quick.sent == 1
        assert [s.breaker.state for s in both.states] == ["closed", "closed"]
        assert [s.in_flight for s in both.states] == [0, 0]

    asyncio.run(run())


def test_a_target_that_had_little_of_the_calls_time_is_not_blamed_for_its_silence() -> None:
    async def run() -> None:
        both = pool_of(
            {"a": Acted(hangs_for_ever), "b": Acted(hangs_for_ever)},
            breaker={"least_calls": 1},
            timeouts={"first_token_s": 60, "total_s": 70},
        )
        with pytest.raises(UpstreamTimeout):
            await called(router_of(both))
        assert [s.breaker.state for s in both.states] == ["open", "closed"]

    run_jumping(run())


def standing(state: TargetState) -> str:
    """Where the target's breaker stands now."""
    return state.breaker.state


def test_a_reply_that_nobody_reads_on_does_not_keep_a_target_out() -> None:
    """The probe's first content is enough for the next call to be sent; its end closes."""

    async def run() -> None:
        now = [0.0]
        back = Acted(breaks(OUT))
        both = pool_of({"a": back, "b": Acted(works)}, lambda: now[0])
        router = router_of(both)
        for _ in range(5):
            await called(router)
        assert standing(both.states[0]) == "open"
        now[0], back.act, back.sent = 20.0, works, 0
        probe = (await begun(router)).events
        assert (back.sent, standing(both.states[0])) == (1, "half_open")
        assert await called(router) == "ok"
        assert (back.sent, standing(both.states[0])) == (2, "closed")
        assert isinstance(probe, Owned)
        await probe.aclose()
        assert standing(both.states[0]) == "closed"

    asyncio.run(run())
