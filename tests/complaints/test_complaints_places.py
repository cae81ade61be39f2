"""In-flight caps hold for each target at every moment, and no call is lost that could wait."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from places_world import Counted, at_rest, call_as, counted_pool, until
from scripted_pool import router_of

from headgate_core.errors import Overloaded, UpstreamError
from headgate_gateway.reload.carried import take_over
from headgate_gateway.routing.breaker import Breaker
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.router import Router

LONG = timedelta(hours=1)
STRATEGIES = ("priority", "round_robin", "least_busy", "weighted", "lowest_latency")


def hedges_early(pool: Pool) -> None:
    for state in pool.states:
        for _ in range(30):
            state.answered(0.001)


@pytest.mark.parametrize("strategy", ["priority", "round_robin", "least_busy"])
@pytest.mark.parametrize("share", [1.0, 0.08])
def test_no_call_fails_beside_a_target_that_works(strategy: str, share: float) -> None:
    async def run() -> None:
        targets = {"a": Counted(fails=share, slow_s=0.004), "b": Counted(slow_s=0.004)}
        pool = counted_pool(targets, 2, strategy=strategy)
        router = router_of(pool)
        ends = await asyncio.gather(*(call_as(router) for _ in range(600)), return_exceptions=True)
        assert Counter(map(str, ends)) == {"ok": 600}
        assert max(t.peak for t in targets.values()) == 2
        assert at_rest(pool)

    asyncio.run(run())


def test_with_a_target_taken_out_the_others_get_no_more_calls_than_before() -> None:
    async def run() -> None:
        targets = {name: Counted(slow_s=0.01) for name in "abc"}
        pool = counted_pool(targets, 2)
        pool.states[0].disabled_until = datetime.now(UTC) + LONG
        router = router_of(pool)
        assert await asyncio.gather(*(call_as(router) for _ in range(60))) == ["ok"] * 60
        assert [t.peak for t in targets.values()] == [0, 2, 2]

    asyncio.run(run())


def test_a_retry_waits_for_the_target_that_works_and_does_not_go_back_to_the_sick_one() -> None:
    async def run() -> None:
        sick, works = Counted(fails=1), Counted(gate=asyncio.Event())
        pool = counted_pool({"sick": sick, "works": works}, 1)
        router = router_of(pool)
        pool.states[0].disabled_until = datetime.now(UTC) + LONG
        holder = asyncio.ensure_future(call_as(router))
        await until(lambda: works.now == 1, "the first call is not there")
        pool.states[0].disabled_until = None
        second = asyncio.ensure_future(call_as(router, "other"))
        await until(lambda: pool.queue.length == 1, "the retry does not wait")
        assert (len(sick.loads), pool.states[0].in_flight) == (1, 0)
        assert works.gate is not None
        works.gate.set()
        assert [await holder, await second] == ["ok", "ok"]
        assert (len(sick.loads), works.peak) == (1, 1)

    asyncio.run(run())


def test_a_retry_that_gets_no_place_in_time_says_what_the_call_failed_with() -> None:
    async def run() -> None:
        sick, works = Counted(fails=1), Counted(gate=asyncio.Event())
        pool = counted_pool({"sick": sick, "works": works}, 1, queue={"wait_s": 0.05})
        pool.states[0].disabled_until = datetime.now(UTC) + LONG
        router = router_of(pool)
        holder = asyncio.ensure_future(call_as(router))
        await until(lambda: works.now == 1, "the first call is not there")
        with pytest.raises(Overloaded, match=r"wait_s = 0\.05"):
            await call_as(router)
        pool.states[0].disabled_until = None
        with pytest.raises(UpstreamError, match="out"):
            await call_as(router)
        holder.cancel()
        await asyncio.wait([holder])
        assert at_rest(pool)

    asyncio.run(run())


def test_a_hedge_is_sent_only_where_there_is_room_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("headgate_gateway.routing.router.FLOOR_S", 0.005)

    async def run() -> None:
        targets = {name: Counted(slow_s=0.1) for name in "ab"}
        pool = counted_pool(targets, 1, hedge={"max_share": 1.0}, retries={"extra_share": 1.0})
        hedges_early(pool)
        router = router_of(pool)
        assert await asyncio.gather(*(call_as(router) for _ in range(2))) == ["ok"] * 2
        assert [len(t.loads) for t in targets.values()] == [1, 1]  # there was no room for any
        hedges_early(pool)
        assert await asyncio.gather(*(call_as(router) for _ in range(30))) == ["ok"] * 30
        hedges_early(pool)
        assert await call_as(router) == "ok"
        assert sum(len(t.loads) for t in targets.values()) > 33, "no hedge was sent at all"
        assert [t.peak for t in targets.values()] == [1, 1]
        assert at_rest(pool)

    asyncio.run(run())


def test_those_who_wait_go_to_a_target_that_comes_back_one_call_first() -> None:
    """Its breaker's time is over while the other target is full and gives no place back."""

    async def run() -> None:
        now = [0.0]
        out, full = Counted(gate=asyncio.Event()), Counted(gate=asyncio.Event())
        pool = counted_pool({"out": out, "full": full}, 3, breaker={"open_s": 10})
        breaker = pool.states[0].breaker = Breaker(pool.settings.breaker, lambda: now[0])
        for _ in range(5):
            breaker.failed(breaker.sent())
        router = router_of(pool)
        calls = [asyncio.ensure_future(call_as(router)) for _ in range(9)]
        await until(lambda: full.now == 3, "the target that works is not full")
        assert (out.now, pool.queue.length) == (0, 6)
        now[0] = 10.0
        await until(lambda: out.now == 1, "nobody tries the target that may be back")
        assert (out.peak, pool.queue.length) == (1, 5)
        assert out.gate is not None and full.gate is not None
        out.gate.set()
        await until(lambda: pool.queue.length == 0, "the target that is back is not used")
        full.gate.set()
        assert await asyncio.gather(*calls) == ["ok"] * 9
        assert (out.peak, full.peak) == (3, 3)

    asyncio.run(run())


class Storm:
    """Seeded calls that fail, are hedged and hung up, at targets that come and go."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.places = 3
        self.over: list[int] = []
        self.begun = 0
        self.targets = {
            name: Counted(fails=fails, slow_s=0.012, draw=random.Random(seed + n))
            for n, (name, fails) in enumerate({"a": 0.3, "b": 0.05, "c": 0.0}.items())
        }
        self.pool = self._made(self.places)
        self.router = router_of(self.pool)

    def _made(self, places: int) -> Pool:
        pool = counted_pool(
            self.targets,
            places,
            strategy=self.draw.choice(STRATEGIES),
            hedge={"max_share": 1.0},
            retries={"attempts": 3, "extra_share": 1.0},
            breaker={"open_s": 0.05},
        )
        hedges_early(pool)
        return pool

    async def one(self, n: int) -> str:
        await asyncio.sleep(self.draw.random() * 0.3)
        call = asyncio.ensure_future(call_as(self.router, f"k{n % 5}"))
        if self.draw.random() < 0.25:
            await asyncio.wait([call], timeout=self.draw.random() * 0.05)
            call.cancel()
        await asyncio.wait([call])
        if call.cancelled():
            return "hung up"
        error = call.exception()
        return call.result() if error is None else type(error).__name__

    def change(self) -> None:
        """A reload with other places, or a target that a person takes out or puts back."""
        if self.draw.random() < 0.3:
            fresh = self._made(self.draw.choice((1, 2, 4)))
            take_over({"p": self.pool}, {"p": fresh}, "abc")
            self.pool, self.router = fresh, router_of(fresh)
            return
        until_then = self.draw.choice((None, datetime.now(UTC) + LONG))
        self.draw.choice(self.pool.states[:2]).disabled_until = until_then

    async def changes(self, over: Callable[[], bool]) -> None:
        while not over():
            self.change()
            for _ in range(10):  # who was given a place before the change begins now
                await asyncio.sleep(0)
            for target in self.targets.values():
                target.loads.clear()
            await asyncio.sleep(0.02)
            settings = self.pool.settings.queue
            assert settings is not None
            most = settings.in_flight_per_target
            self.over += [t.peak for t in self.targets.values() if t.peak > most]
            self.begun += sum(len(t.loads) for t in self.targets.values())


@pytest.mark.parametrize("seed", range(6))
def test_the_cap_holds_in_a_storm(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgate_gateway.routing.router.FLOOR_S", 0.002)

    async def run() -> None:
        storm = Storm(seed)
        calls = [asyncio.ensure_future(storm.one(n)) for n in range(250)]
        await storm.changes(lambda: all(call.done() for call in calls))
        ends = Counter([await call for call in calls])
        assert (storm.over, storm.begun > 100) == ([], True), (storm.begun, ends)
        assert ends["ok"] > 100 and ends["hung up"] > 10, ends
        assert ends["Overloaded"] == 0, ends
        assert at_rest(storm.pool)
        assert [t.now for t in storm.targets.values()] == [0, 0, 0]

    asyncio.run(run())


def test_ten_thousand_calls_leave_nothing_behind() -> None:
    async def run() -> None:
        targets = {"a": Counted(fails=0.1), "b": Counted(fails=0.1)}
        pool = counted_pool(targets, 4, queue={"waiting": 20, "wait_s": 60})
        router: Router = router_of(pool)

        async def caller(n: int) -> Counter[str]:
            ends: Counter[str] = Counter()
            for _ in range(200):
                call = asyncio.ensure_future(call_as(router, f"k{n % 7}"))
                if n % 5 == 0:
                    await asyncio.sleep(0)
                    call.cancel()
                await asyncio.wait([call])
                if call.cancelled():
                    ends["cancelled"] += 1
                else:
                    ends[type(call.exception()).__name__] += 1
            return ends

        ends = sum(await asyncio.gather(*(caller(n) for n in range(50))), Counter[str]())
        assert ends.total() == 10_000
        assert ends["Overloaded"] > 0 and ends["NoneType"] > 1_000 and ends["cancelled"] > 0, ends
        assert at_rest(pool)
        assert (pool.queue.taken, pool.queue._handed.total()) == (0, 0)
        assert max(t.peak for t in targets.values()) <= 4

    asyncio.run(run())
