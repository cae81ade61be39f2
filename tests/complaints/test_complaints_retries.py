"""C45: retries make no outage worse, and ask nobody again who hangs; simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from in_process import eventually
from jumping_clock import run_jumping
from scripted_pool import (
    OUT,
    WHO,
    Act,
    Acted,
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
)
from headgate_core.ports import ModelRequest
from headgate_core.types import Purpose
from headgate_gateway.routing.rests import Rests
from headgate_gateway.routing.router import Router
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


@pytest.mark.parametrize("strategy", ["priority", "round_robin", "weighted", "least_busy"])
@pytest.mark.parametrize("targets", [1, 2, 3])
def test_an_outage_of_everything_is_not_made_worse(
    no_pause: None, strategy: str, targets: int
) -> None:
    calls = 1000

    async def run() -> tuple[int, int]:
        providers = {name: Acted(works) for name in "abc"[:targets]}
        router = router_of(pool_of(providers, strategy=strategy))
        good = 0
        for n in range(2 * calls):
            if n == calls:
                for provider in providers.values():
                    provider.act = breaks(OUT)
            good += await succeeded(called(router))
        return good, sum(p.sent for p in providers.values())

    good, sent = asyncio.run(run())
    assert good == calls
    during = sent - calls
    assert during <= 1.1 * calls + 10
    assert sent <= 1.1 * 2 * calls


def test_a_burst_that_meets_an_outage_of_everything_is_not_made_worse(no_pause: None) -> None:
    async def run() -> int:
        gate = asyncio.Event()

        async def falls() -> None:
            await gate.wait()
            raise OUT

        providers = {name: Acted(falls) for name in "ab"}
        router = router_of(pool_of(providers, strategy="round_robin"))
        burst = [asyncio.ensure_future(succeeded(called(router))) for _ in range(400)]
        await eventually(lambda: sum(p.sent for p in providers.values()) == 400, "not all are sent")
        gate.set()
        assert not any(await asyncio.gather(*burst))
        return sum(p.sent for p in providers.values())

    assert asyncio.run(run()) <= 1.1 * 400 + 10


def test_calls_under_way_at_a_target_that_fails_all_move_to_one_that_works(no_pause: None) -> None:
    async def run() -> None:
        gate = asyncio.Event()

        async def falls() -> None:
            await gate.wait()
            raise OUT

        dying, healthy = Acted(falls), Acted(works)
        both = pool_of({"a": dying, "b": healthy})
        router = router_of(both)
        burst = [asyncio.ensure_future(succeeded(called(router))) for _ in range(100)]
        await eventually(lambda: dying.sent == 100, "not all are sent")
        gate.set()
        assert all(await asyncio.gather(*burst))
        assert (dying.sent, healthy.sent) == (100, 100)
        assert both.states[0].breaker.state == "open"

    asyncio.run(run())


def test_a_target_that_served_well_until_now_is_left_alone_after_five_faults(
    no_pause: None,
) -> None:
    async def run() -> None:
        dying = Acted(works)
        both = pool_of({"a": dying, "b": Acted(works)})
        router = router_of(both)
        for _ in range(500):
            await called(router)
        dying.act, dying.sent = breaks(OUT), 0
        assert all([await succeeded(called(router)) for _ in range(500)])
        assert dying.sent == 5

    asyncio.run(run())


def state_of() -> TargetState:
    return pool_of({"a": Acted(works)}).states[0]


def test_the_wait_for_a_retry_is_drawn_anew_and_doubles_at_most() -> None:
    async def run() -> dict[int, list[float]]:
        pauses: dict[int, list[float]] = {n: [] for n in range(1, 6)}
        for _ in range(300):
            rests, state = Rests(), state_of()
            for n in pauses:
                rests.failed(state, OUT)
                pauses[n].append(rests.left(state))
        return pauses

    for n, drawn in asyncio.run(run()).items():
        most = min(8.0, 0.5 * 2**n)
        assert 0 <= min(drawn) < 0.1 * most and 0.9 * most < max(drawn) <= most
        assert abs(sum(drawn) / len(drawn) - most / 2) < 0.1 * most, n
        assert len({round(pause, 6) for pause in drawn}) > 290, n


def test_retry_after_is_the_least_wait() -> None:
    async def run() -> float:
        rests, state = Rests(), state_of()
        rests.failed(state, UpstreamStatus("busy", upstream_status=429, retry_after_s=5))
        return rests.left(state)

    assert 4.9 < asyncio.run(run()) <= 8


FOR_LONG = datetime.max.replace(tzinfo=UTC)


def busy_once(asked: Acted, error: Exception) -> Act:
    """The target fails the first time, and answers after that."""

    async def act() -> None:
        if asked.sent == 1:
            raise error

    return act


async def answered_after(router: Router, *, stream: bool) -> float:
    """Seconds until a call has its whole answer."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    ctx = Context(route="r", request={}, principal=WHO)
    request = ModelRequest({"messages": []}, stream=stream, context=ctx)
    async for _ in (await router.call("p", request, Purpose.SERVE, WHO, ctx)).events:
        pass
    return loop.time() - begin


@pytest.mark.parametrize(("stream", "seconds"), [(False, 300), (True, 60)])
def test_with_the_defaults_a_lone_target_that_hangs_leaves_time_to_the_fallback(
    stream: bool, seconds: float
) -> None:
    async def run() -> None:
        hung, spare = Acted(hangs_for_ever), Acted(works)
        pools = pool_of({"a": hung}, fallbacks=["spare"]), pool_of({"s": spare}, name="spare")
        after = await answered_after(router_of(*pools), stream=stream)
        assert (hung.sent, spare.sent) == (1, 1)
        assert seconds <= after < seconds + 10

    run_jumping(run())


@pytest.mark.parametrize("stream", [False, True])
def test_a_lone_target_that_asks_for_peace_is_left_for_a_fallback_that_works(stream: bool) -> None:
    async def run(spare: Acted) -> tuple[float, list[int]]:
        busy = UpstreamStatus("busy", upstream_status=503, retry_after_s=5)
        asks = Acted(breaks(busy))
        pools = pool_of({"a": asks}, fallbacks=["spare"]), pool_of({"s": spare}, name="spare")
        pools[1].states[0].disabled_until = None if spare.act is works else FOR_LONG
        if spare.act is not works:
            asks.act = busy_once(asks, busy)
        after = await answered_after(router_of(*pools), stream=stream)
        return after, [asks.sent, spare.sent]

    assert run_jumping(run(Acted(works))) == (0, [1, 1])
    after, sent = run_jumping(run(Acted(breaks(OUT))))
    assert 5 <= after <= 8 and sent == [2, 0]


def test_a_target_that_hung_is_asked_again_after_those_that_failed_otherwise() -> None:
    async def run() -> None:
        hung, failing = Acted(hangs_for_ever), Acted(breaks(OUT))
        both = pool_of({"a": hung, "b": failing}, retries={"attempts": 4})
        with pytest.raises(UpstreamStatus):
            await called(router_of(both))
        assert (hung.sent, failing.sent) == (1, 3)

    run_jumping(run())


def test_a_lone_target_without_a_fallback_is_asked_again_after_a_timer() -> None:
    async def run() -> None:
        hung = Acted(hangs_for_ever)
        with pytest.raises(UpstreamTimeout):
            await called(router_of(pool_of({"a": hung})))
        assert hung.sent == 2

    run_jumping(run())
