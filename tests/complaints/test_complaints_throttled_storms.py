"""C45: rate limits make no storm, whoever is limited and however short a rest they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from in_process import eventually
from scripted_pool import (
    OUT,
    Acted,
    breaks,
    called,
    pool_of,
    router_of,
    same_draws,
    succeeded,
    without_pauses,
    works,
)
from throttled_world import World, in_world, refusal

from headgate_core.errors import UpstreamStatus
from headgate_gateway.routing.pools import RESERVE_S
from headgate_gateway.routing.retry_budget import RetryBudget


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same draws in every run, and retries that do not wait."""
    without_pauses(monkeypatch)
    with same_draws():
        yield


def throttles(retry_after_s: float | None) -> Callable[[], Awaitable[None]]:
    return breaks(UpstreamStatus("slow down", upstream_status=429, retry_after_s=retry_after_s))


@pytest.mark.parametrize("strategy", ["priority", "round_robin", "weighted", "least_busy"])
@pytest.mark.parametrize("targets", [1, 2, 3])
@pytest.mark.parametrize("retry_after_s", [None, 0.01, 30.0])
def test_targets_that_are_all_throttled_get_a_tenth_more_at_most(
    strategy: str, targets: int, retry_after_s: float | None
) -> None:
    calls = 1000

    async def run() -> int:
        now = [0.0]
        providers = {name: Acted(throttles(retry_after_s)) for name in "abc"[:targets]}
        pool = pool_of(providers, lambda: now[0], strategy=strategy)
        pool.retries = RetryBudget(full_in_s=RESERVE_S, clock=lambda: now[0])
        router = router_of(pool)
        for _ in range(calls):
            assert not await succeeded(called(router))
            now[0] += 0.05
        return sum(p.sent for p in providers.values())

    reserves = 10 * (1 + 0.05 * calls / RESERVE_S)
    assert calls <= asyncio.run(run()) <= 1.1 * calls + reserves


def test_a_burst_that_meets_limits_everywhere_is_paid_back() -> None:
    """Nobody knows of the second target's limit before the burst has moved there."""
    burst, calls = 100, 2000

    async def run() -> int:
        now, gates = [0.0], {name: asyncio.Event() for name in "ab"}

        def limited(name: str) -> Callable[[], Awaitable[None]]:
            async def act() -> None:
                await gates[name].wait()
                raise UpstreamStatus("slow down", upstream_status=429)

            return act

        providers = {name: Acted(limited(name)) for name in "ab"}
        router = router_of(pool_of(providers, lambda: now[0]))
        under_way = [asyncio.ensure_future(succeeded(called(router))) for _ in range(burst)]
        for name in "ab":
            await eventually(lambda p=providers[name]: p.sent == burst, "not all are sent")  # type: ignore[misc]
            gates[name].set()
        assert not any(await asyncio.gather(*under_way))
        for _ in range(calls):
            now[0] += 0.05
            await succeeded(called(router))
        return sum(p.sent for p in providers.values())

    assert asyncio.run(run()) <= 1.1 * (burst + calls) + 10


@pytest.mark.parametrize("accepts", [0, 1, 5])
@pytest.mark.parametrize("retry_after_s", [None, 0.01, 1.0])
def test_a_limit_that_comes_and_goes_costs_a_tenth_at_most_and_no_call(
    accepts: int, retry_after_s: float | None
) -> None:
    """Twenty calls at once, twice a second, at a target that takes a few of them a second."""
    at_once, rounds = 20, 200

    async def run() -> tuple[int, int]:
        now, left = [0.0], [0]

        async def limited() -> None:
            await asyncio.sleep(0)
            left[0] -= 1
            if left[0] < 0:
                raise UpstreamStatus("slow", upstream_status=429, retry_after_s=retry_after_s)

        first, second = Acted(limited), Acted(works)
        router = router_of(pool_of({"a": first, "b": second}, lambda: now[0]))
        for n in range(rounds):
            left[0] = accepts if n % 2 == 0 else left[0]
            batch = await asyncio.gather(*(succeeded(called(router)) for _ in range(at_once)))
            assert all(batch)
            now[0] += 0.5
        return first.sent, second.sent

    first, second = asyncio.run(run())
    calls = at_once * rounds
    assert first + second <= 1.1 * calls + 10 + at_once
    assert first >= 10, "the limited target is never tried again"


def test_faults_beside_a_limit_are_still_retried_and_the_budget_holds_for_both() -> None:
    """One target is throttled now and then, another one fails at times, the third one works."""
    calls = 2000

    async def run() -> tuple[float, int]:
        now, n = [0.0], [0]

        async def fails_at_times() -> None:
            n[0] += 1
            if n[0] % 20 == 0:
                raise OUT

        providers = {
            "a": Acted(throttles(0.01)),
            "b": Acted(fails_at_times),
            "c": Acted(works),
        }
        router = router_of(pool_of(providers, lambda: now[0], strategy="round_robin"))
        good = 0
        for _ in range(calls):
            good += await succeeded(called(router))
            now[0] += 0.05
        return good / calls, sum(p.sent for p in providers.values())

    share, sent = asyncio.run(run())
    assert share == 1.0
    assert sent <= 1.1 * calls + 10


def test_a_down_target_does_not_keep_calls_from_one_that_throttled_somebody() -> None:
    """With one target down and the other one throttled, the throttled one is asked first."""

    async def run() -> None:
        now = [0.0]
        down, limited = Acted(breaks(OUT)), Acted(works)
        both = pool_of({"a": down, "b": limited}, lambda: now[0])
        router = router_of(both)
        for _ in range(10):
            assert await succeeded(called(router))
        assert both.states[0].breaker.state == "open"
        both.states[1].faulted(UpstreamStatus("too large", upstream_status=429, retry_after_s=60))
        assert not both.states[1].available()
        before = down.sent
        now[0] += 0.1
        assert await succeeded(called(router))
        assert down.sent == before
        assert both.states[1].available(), "an answer shows that the limit was one call's own"

    asyncio.run(run())


@pytest.mark.parametrize("keys", [1, 2])
@pytest.mark.parametrize("headers", ["", "Retry-After: 0.01\r\n"])
def test_keys_that_are_all_throttled_are_no_reason_to_ask_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: int, headers: str
) -> None:
    monkeypatch.setenv("UP_ONE", "one")
    monkeypatch.setenv("UP_TWO", "two")
    calls = 200

    async def work(world: World) -> None:
        world.refused = refusal(429, headers)
        assert await world.calls("alone", calls) == {429: calls}
        assert calls <= len(world.fake.requests) <= 1.1 * calls + 10

    in_world(tmp_path, work, keys=keys)
