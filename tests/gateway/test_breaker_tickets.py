"""What a breaker makes of calls that were sent before it changed, and of long ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from in_process import eventually
from scripted_pool import OUT, Acted, begun, breaks, called, pool_of, router_of, succeeded, works

from headgate_core.errors import UpstreamTruncated
from headgate_core.reply import Owned, Reply
from headgate_core.settings.pools import BreakerSettings
from headgate_gateway.routing.breaker import Breaker
from headgate_gateway.routing.pools import Pool


@dataclass
class World:
    """A breaker on a clock of the test's own."""

    now: float = 0.0
    breaker: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.breaker = Breaker(BreakerSettings(), lambda: self.now)

    @property
    def state(self) -> str:
        return self.breaker.state

    def opens(self) -> None:
        for _ in range(5):
            self.breaker.failed(self.breaker.sent())
        assert self.state == "open"


def standing(pool: Pool) -> str:
    """Where the first target's breaker stands now."""
    return pool.states[0].breaker.state


def test_an_answer_to_a_call_from_before_the_breaker_opened_does_not_close_it() -> None:
    world = World()
    old = [world.breaker.sent() for _ in range(60)]
    world.opens()
    for ticket in old[:20]:
        world.breaker.answering(ticket)
        world.breaker.succeeded(ticket)
    assert world.state == "open"
    world.now = 20
    for ticket in old[20:40]:
        world.breaker.succeeded(ticket)
    assert world.state == "half_open"
    world.breaker.succeeded(world.breaker.sent())
    assert world.state == "closed"


def test_a_fault_of_a_call_from_before_counts_no_more() -> None:
    world = World()
    old = [world.breaker.sent() for _ in range(20)]
    world.opens()
    world.now = 14
    for ticket in old[:10]:
        world.breaker.failed(ticket)
    world.now = 15
    assert world.breaker.allows(), "the old faults have lengthened the time"
    world.breaker.succeeded(world.breaker.sent())
    for ticket in old[10:]:
        world.breaker.failed(ticket)
    assert world.state == "closed"


def test_a_call_that_is_no_probe_makes_no_room_for_another_one() -> None:
    world = World()
    old = [world.breaker.sent() for _ in range(4)]
    world.opens()
    world.now = 20
    probe = world.breaker.sent()
    world.breaker.abandoned(old[0])
    world.breaker.answering(old[1])
    world.breaker.succeeded(old[2])
    world.breaker.failed(old[3])
    assert not world.breaker.allows()
    world.breaker.abandoned(probe)
    assert world.breaker.allows()


def test_the_last_target_is_back_with_the_first_answer_to_a_call_sent_while_it_was_out() -> None:
    world = World()
    world.opens()
    ticket = world.breaker.sent()
    world.breaker.answering(ticket)
    assert world.state == "open"
    world.breaker.succeeded(ticket)
    assert world.state == "closed"


def test_long_streams_that_go_well_count_while_they_go_on() -> None:
    world = World()
    for n in range(70):
        ticket = world.breaker.sent()
        if n % 10 == 9:
            world.breaker.failed(ticket)
        else:
            world.breaker.answering(ticket)
    assert world.state == "closed"


def test_a_stream_that_breaks_off_is_a_fault_and_no_success() -> None:
    async def run() -> None:
        healthy = Acted(works)
        healthy.midway = lambda: UpstreamTruncated("cut off")
        both = pool_of({"a": healthy, "b": Acted(works)})
        router = router_of(both)
        for _ in range(4):
            assert not await succeeded(called(router))
        assert standing(both) == "closed"
        assert not await succeeded(called(router))
        assert standing(both) == "open", "each one counted as a success too"

    asyncio.run(run())


@pytest.mark.parametrize("faults", [1, 4])
def test_faults_beside_streams_that_go_on_do_not_take_a_healthy_target_out(faults: int) -> None:
    async def run() -> None:
        flaky = Acted(works)
        both = pool_of({"a": flaky, "b": Acted(works)})
        router = router_of(both)
        replies: list[Reply] = []
        for _ in range(10):
            flaky.act = works
            replies += [await begun(router) for _ in range(5)]
            flaky.act = breaks(OUT)
            for _ in range(faults):
                await succeeded(called(router))
        assert standing(both) == "closed"
        assert both.states[0].in_flight == 50
        for reply in replies:
            assert isinstance(reply.events, Owned)
            await reply.events.aclose()
        assert both.states[0].in_flight == 0

    asyncio.run(run())


def test_a_dead_target_stays_out_while_its_older_streams_end_well() -> None:
    async def run() -> None:
        gate = asyncio.Event()

        async def waits() -> None:
            await gate.wait()

        dying = Acted(waits)
        both = pool_of({"a": dying, "b": Acted(works)})
        router = router_of(both)
        old = [asyncio.ensure_future(called(router)) for _ in range(30)]
        await eventually(lambda: dying.sent == 30, "not all are sent")
        dying.act, dying.sent = breaks(OUT), 0
        for _ in range(10):
            assert await called(router) == "ok"
        gate.set()
        assert await asyncio.gather(*old) == ["ok"] * 30
        for _ in range(50):
            assert await called(router) == "ok"
        assert dying.sent == 5

    asyncio.run(run())
