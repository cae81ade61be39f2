"""C22: counters of calls in flight, and the shares that targets get; simulated."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Iterator

import pytest
from in_process import eventually
from scripted_pool import (
    OUT,
    Acted,
    begun,
    called,
    pool_of,
    router_of,
    same_draws,
    without_pauses,
    works,
)

from headgate_core.errors import (
    UpstreamStatus,
    UpstreamTruncated,
)
from headgate_core.reply import Owned
from headgate_gateway.routing.router import Router


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every draw of strategies, jitter and simulations is the same in every run."""
    with same_draws():
        yield


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    without_pauses(monkeypatch)


FAULTS: list[BaseException | None] = [
    OUT,
    UpstreamStatus("x", upstream_status=400),
    RuntimeError("a bug"),
    asyncio.CancelledError(),
    *[None] * 3,
]


async def fails_at_times() -> None:
    if (error := random.choice(FAULTS)) is not None:
        raise error


def breaks_off_at_times() -> Exception | None:
    return random.choice([None, None, UpstreamTruncated("cut"), RuntimeError("a bug")])


async def read_in_part(router: Router) -> str:
    """A caller who may leave before the first word, in the middle, or hear it all."""
    events = (await begun(router)).events
    assert isinstance(events, Owned)
    if random.random() < 0.1:
        await events.aclose()
        return "left"
    async for _ in events:
        if random.random() < 0.1:
            await events.aclose()
            return "left in mid-stream"
    return "ok"


def test_ten_thousand_calls_with_exceptions_leave_no_call_in_flight(no_pause: None) -> None:
    """Failures before and in mid-stream, our own bugs, hang-ups, replies nobody reads."""

    async def run() -> None:
        providers = {n: Acted(fails_at_times, midway=breaks_off_at_times) for n in "abc"}
        three = pool_of(providers, strategy="least_busy", hedge={"max_share": 0.5})
        router = router_of(three)
        outcomes: Counter[str] = Counter()
        for _ in range(100):
            batch = [asyncio.ensure_future(read_in_part(router)) for _ in range(100)]
            batch[0].cancel()
            for done in await asyncio.gather(*batch, return_exceptions=True):
                outcomes[done if isinstance(done, str) else type(done).__name__] += 1
        assert outcomes.total() == 10_000
        assert len(outcomes) >= 6, outcomes
        assert [s.in_flight for s in three.states] == [0, 0, 0]

    asyncio.run(run())


@pytest.mark.parametrize("strategy", ["least_busy", "weighted", "lowest_cost"])
def test_equal_targets_get_equal_shares(strategy: str) -> None:
    calls = 10_000

    async def run() -> dict[str, int]:
        providers = {name: Acted(works) for name in "abcd"}
        router = router_of(pool_of(providers, strategy=strategy))
        for _ in range(calls):
            await called(router)
        return {name: p.sent for name, p in providers.items()}

    sent = asyncio.run(run())
    sigma = math.sqrt(calls * 0.25 * 0.75)
    assert all(abs(n - calls / 4) < 3 * sigma for n in sent.values()), sent


@pytest.mark.parametrize("strategy", ["least_busy", "lowest_latency"])
def test_a_burst_is_spread_before_any_answer_has_come(strategy: str) -> None:
    async def run() -> list[int]:
        gate = asyncio.Event()

        async def waits() -> None:
            await gate.wait()

        providers = {name: Acted(waits) for name in "abc"}
        three = pool_of(providers, strategy=strategy)
        for state, seconds in zip(three.states, (0.1, 0.1001, 0.1002), strict=True):
            state.answered(seconds)
        router = router_of(three)
        burst = [asyncio.ensure_future(called(router)) for _ in range(90)]
        await eventually(lambda: sum(p.sent for p in providers.values()) == 90, "not all are sent")
        gate.set()
        await asyncio.gather(*burst)
        return [p.sent for p in providers.values()]

    assert all(25 <= n <= 35 for n in asyncio.run(run()))
