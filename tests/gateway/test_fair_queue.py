"""The queue by itself: turns, bounds, and what happens to places when somebody leaves."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from jumping_clock import run_jumping
from places_world import Counted, call_as, counted_pool, until
from scripted_pool import router_of

from headgate_core.errors import Overloaded
from headgate_core.ports import Target
from headgate_core.settings.pools import BreakerSettings
from headgate_gateway.routing.fair_queue import FairQueue
from headgate_gateway.routing.target_state import TargetState


def target(name: str = "t") -> TargetState:
    return TargetState.make(Target(name, name), Counted(), BreakerSettings())


def waiting_as(
    queue: FairQueue, who: str, state: TargetState, served: list[str], *, again: bool = False
) -> asyncio.Task[None]:
    async def wait() -> None:
        place = await queue.take(who, lambda: [state], again=again)
        served.append(who)
        place.give_back()

    return asyncio.ensure_future(wait())


async def in_line(queue: FairQueue, length: int) -> None:
    await until(lambda: queue.length == length, "they do not wait")


def test_principals_take_turns_in_the_queue() -> None:
    async def run() -> None:
        queue, one, served = FairQueue(places=1, waiting=100, wait_s=60), target(), list[str]()
        holder = await queue.take("busy", lambda: [one])
        tasks = [waiting_as(queue, "busy", one, served) for _ in range(50)]
        await in_line(queue, 50)
        tasks += [waiting_as(queue, who, one, served) for who in ("quiet", "shy")]
        await in_line(queue, 52)
        holder.give_back()
        await asyncio.gather(*tasks)
        assert set(served[:3]) == {"busy", "quiet", "shy"}

    asyncio.run(run())


def test_calls_that_wait_again_come_before_the_others_and_in_their_own_order() -> None:
    async def run() -> None:
        queue, one, served = FairQueue(places=1, waiting=100, wait_s=60), target(), list[int]()
        holder = await queue.take("a", lambda: [one])

        async def wait(n: int, *, again: bool) -> None:
            with await queue.take("a", lambda: [one], again=again) as place:
                served.append(n)
                place.give_back()

        tasks = [asyncio.ensure_future(wait(n, again=n in (1, 3))) for n in range(4)]
        await in_line(queue, 4)
        holder.give_back()
        await asyncio.gather(*tasks)
        assert served == [1, 3, 0, 2]

    asyncio.run(run())


def test_a_cancelled_waiter_leaves_the_queue() -> None:
    async def run() -> None:
        queue, one = FairQueue(places=1, waiting=10, wait_s=60), target()
        place = await queue.take("a", lambda: [one])
        waiter = waiting_as(queue, "b", one, [])
        await in_line(queue, 1)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert queue.length == 0
        place.give_back()
        place.give_back()
        assert queue.taken == 0
        await queue.take("c", lambda: [one])

    asyncio.run(run())


def test_a_place_that_is_handed_to_somebody_who_leaves_goes_to_the_next_one() -> None:
    async def run() -> None:
        queue, one, served = FairQueue(places=1, waiting=10, wait_s=60), target(), list[str]()
        place = await queue.take("a", lambda: [one])
        leaves, stays = (waiting_as(queue, who, one, served) for who in ("leaves", "stays"))
        await in_line(queue, 2)
        place.give_back()
        leaves.cancel()
        await asyncio.wait([leaves, stays], timeout=10)
        assert (served, queue.taken, queue.length) == (["stays"], 0, 0)

    asyncio.run(run())


def test_a_queue_grows_for_those_who_wait_and_shrinks_as_places_come_back() -> None:
    async def run() -> None:
        queue, one = FairQueue(1, 10, 60), target()
        first = await queue.take("a", lambda: [one])
        waiting = [asyncio.create_task(queue.take(who, lambda: [one])) for who in ("b", "c")]
        await in_line(queue, 2)
        queue.resize(FairQueue(2, 10, 5))
        second = await waiting[0]
        assert not waiting[1].done()
        queue.resize(FairQueue(1, 10, 0.01))  # two places are taken, one is one too many
        first.give_back()
        await asyncio.sleep(0)
        assert not waiting[1].done()
        second.give_back()
        await waiting[1]
        with pytest.raises(Overloaded, match=r"wait_s = 0\.01"):
            await queue.take("d", lambda: [one])

    asyncio.run(run())


def test_the_longest_line_makes_room_in_a_full_queue_and_only_the_longest() -> None:
    async def run() -> None:
        queue, one, served = FairQueue(places=1, waiting=6, wait_s=60), target(), list[str]()
        holder = await queue.take("busy", lambda: [one])
        busy = [waiting_as(queue, "busy", one, served) for _ in range(4)]
        other = [waiting_as(queue, "other", one, served) for _ in range(2)]
        await in_line(queue, 6)
        quiet = [waiting_as(queue, "quiet", one, served) for _ in range(2)]
        await until(lambda: busy[2].done() and busy[3].done(), "the newest ones still wait")
        late = [waiting_as(queue, who, one, served) for who in ("busy", "other", "quiet")]
        await asyncio.wait(late, timeout=10)
        assert queue.length == 6
        holder.give_back()
        refused = [busy[2], busy[3], *late]
        for task in (*busy, *other, *quiet, *late):
            if task in refused:
                with pytest.raises(Overloaded, match="6 calls wait"):
                    await task
            else:
                await task
        assert Counter(served) == {"busy": 2, "other": 2, "quiet": 2}
        assert queue.taken == 0

    asyncio.run(run())


def test_a_call_that_has_begun_goes_before_its_own_principals_others_and_is_not_refused() -> None:
    async def run() -> None:
        queue, one, served = FairQueue(places=1, waiting=2, wait_s=60), target(), list[str]()
        holder = await queue.take("a", lambda: [one])
        waiting = [waiting_as(queue, "a", one, served) for _ in range(2)]
        await in_line(queue, 2)
        again = waiting_as(queue, "a", one, served, again=True)
        with pytest.raises(Overloaded):
            await waiting[1]
        holder.give_back()
        done, _ = await asyncio.wait([again, waiting[0]], return_when=asyncio.FIRST_COMPLETED)
        assert again in done
        await waiting[0]

    asyncio.run(run())


def test_one_call_of_a_quiet_principal_is_answered_beside_a_thousand_of_a_busy_one() -> None:
    """The defaults: 64 places, 200 that wait."""

    async def run() -> None:
        one = Counted(gate=asyncio.Event())
        pool = counted_pool({"a": one}, 64, queue={"waiting": 200, "wait_s": 60})
        router = router_of(pool)
        busy = [asyncio.ensure_future(call_as(router, "busy")) for _ in range(1000)]
        await in_line(pool.queue, 200)
        quiet = asyncio.ensure_future(call_as(router, "quiet"))
        await asyncio.sleep(0)
        assert one.gate is not None
        one.gate.set()
        assert await asyncio.wait_for(quiet, 30) == "ok"
        ends = await asyncio.gather(*busy, return_exceptions=True)
        refused = [end for end in ends if isinstance(end, Overloaded)]
        assert (len(refused), ends.count("ok"), one.peak) == (737, 263, 64)
        assert {(e.status, e.error_code) for e in refused} == {(503, "overloaded")}
        assert "nobody has more of them than you" in ends[263].message  # type: ignore[union-attr]

    asyncio.run(run())


def test_a_retry_in_a_full_queue_takes_the_place_of_the_call_that_came_last() -> None:
    async def run() -> None:
        queue, one, served = FairQueue(places=1, waiting=4, wait_s=60), target(), list[str]()
        holder = await queue.take("busy", lambda: [one])
        waiting = []
        for n in range(4):
            waiting.append(waiting_as(queue, f"k{n}", one, served))
            await in_line(queue, n + 1)
        again = waiting_as(queue, "retry", one, served, again=True)
        with pytest.raises(Overloaded):
            await asyncio.wait_for(waiting[3], 10)
        holder.give_back()
        await asyncio.gather(*waiting[:3], again)
        assert sorted(served) == ["k0", "k1", "k2", "retry"]

    asyncio.run(run())


def test_a_look_asks_a_bounded_number_of_waiters_and_the_looks_reach_all_of_them() -> None:
    async def run() -> None:
        queue, full, out = FairQueue(places=1, waiting=5000, wait_s=600), target(), target("o")
        await queue.take("busy", lambda: [full])
        asked, looks_at = [0], [full]

        def wanted() -> list[TargetState]:
            asked[0] += 1
            return looks_at

        def last_wanted() -> list[TargetState]:
            asked[0] += 1
            return [out] if came_back else looks_at

        came_back: list[bool] = []
        tasks = [asyncio.ensure_future(queue.take(f"k{n % 7}", wanted)) for n in range(1999)]
        last = asyncio.ensure_future(queue.take("k6", last_wanted))
        await in_line(queue, 2000)
        asked[0] = 0
        assert queue.at_once(out) is not None
        assert asked[0] <= 500, "one look asks all who wait"
        queue._taken.clear()
        queue._taken[full.target.name] = 1
        came_back.append(True)
        assert (await asyncio.wait_for(last, 100)).state is out
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_jumping(run())
