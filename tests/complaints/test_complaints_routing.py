"""C21, C22 and C45: breakers, counters and retries, simulated and in front of real sockets."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from configs import write_config
from in_process import Place, eventually, opened
from jumping_clock import run_jumping
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream, raw_upstream
from running import free_port
from scripted_pool import WHO, Acted, begun, called, pool_of, router_of
from upstream import chunk, completion, sse, stream_of

from headgate_core.context import Context
from headgate_core.errors import (
    UpstreamError,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Owned
from headgate_core.types import Purpose
from headgate_gateway.http import event_stream
from headgate_gateway.http.endpoints import Endpoints
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.rests import Rests
from headgate_gateway.routing.router import Router
from headgate_gateway.routing.target_state import TargetState

OUT = UpstreamStatus("out", upstream_status=503)


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every draw of strategies, jitter and simulations is the same in every run."""
    state = random.getstate()
    random.seed(20260)
    yield
    random.setstate(state)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    yields = asyncio.sleep

    async def sleep(seconds: float) -> None:
        await yields(0)

    monkeypatch.setattr("headgate_gateway.routing.router.asyncio.sleep", sleep)


async def succeeded(work: Awaitable[str]) -> bool:
    try:
        return await work == "ok"
    except UpstreamError:
        return False


# C21: the breaker.


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
            provider.act = _works
        world.now += 20  # longer than the breakers stay open
        assert await world.availability(world.now + 10) == (1.0, 1.0)

    asyncio.run(run())


async def _works() -> None:
    return None


def breaks(error: Exception) -> Callable[[], Awaitable[None]]:
    async def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 429, 401, 402, 403])
def test_what_is_not_the_providers_fault_opens_no_breaker(no_pause: None, status: int) -> None:
    async def run() -> None:
        wrong = Acted(breaks(UpstreamStatus("no", upstream_status=status)))
        both = pool_of({"a": wrong, "b": Acted(_works)}, breaker={"least_calls": 1})
        for _ in range(30):
            await succeeded(called(router_of(both)))
        assert both.states[0].breaker.state == "closed"
        assert both.states[0].available()
        assert wrong.sent == 30

    asyncio.run(run())


def test_hang_ups_and_abandoned_hedges_open_no_breaker() -> None:
    async def run() -> None:
        never = asyncio.Event()

        async def waits() -> None:
            await never.wait()

        slow, quick = Acted(waits), Acted(_works)
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


async def hangs_for_ever() -> None:
    await asyncio.Event().wait()


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
        both = pool_of({"a": back, "b": Acted(_works)}, lambda: now[0])
        router = router_of(both)
        for _ in range(5):
            await called(router)
        assert standing(both.states[0]) == "open"
        now[0], back.act, back.sent = 20.0, _works, 0
        probe = (await begun(router)).events
        assert (back.sent, standing(both.states[0])) == (1, "half_open")
        assert await called(router) == "ok"
        assert (back.sent, standing(both.states[0])) == (2, "closed")
        assert isinstance(probe, Owned)
        await probe.aclose()
        assert standing(both.states[0]) == "closed"

    asyncio.run(run())


# C22: the counters.


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
        providers = {name: Acted(_works) for name in "abcd"}
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


# C45: retries.


@pytest.mark.parametrize("strategy", ["priority", "round_robin", "weighted", "least_busy"])
@pytest.mark.parametrize("targets", [1, 2, 3])
def test_an_outage_of_everything_is_not_made_worse(
    no_pause: None, strategy: str, targets: int
) -> None:
    calls = 1000

    async def run() -> tuple[int, int]:
        providers = {name: Acted(_works) for name in "abc"[:targets]}
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

        dying, works = Acted(falls), Acted(_works)
        both = pool_of({"a": dying, "b": works})
        router = router_of(both)
        burst = [asyncio.ensure_future(succeeded(called(router))) for _ in range(100)]
        await eventually(lambda: dying.sent == 100, "not all are sent")
        gate.set()
        assert all(await asyncio.gather(*burst))
        assert (dying.sent, works.sent) == (100, 100)
        assert both.states[0].breaker.state == "open"

    asyncio.run(run())


def test_a_target_that_served_well_until_now_is_left_alone_after_five_faults(
    no_pause: None,
) -> None:
    async def run() -> None:
        dying = Acted(_works)
        both = pool_of({"a": dying, "b": Acted(_works)})
        router = router_of(both)
        for _ in range(500):
            await called(router)
        dying.act, dying.sent = breaks(OUT), 0
        assert all([await succeeded(called(router)) for _ in range(500)])
        assert dying.sent == 5

    asyncio.run(run())


def state_of() -> TargetState:
    return pool_of({"a": Acted(_works)}).states[0]


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


# A target that hangs is not asked again while somebody else can answer.


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
        hung, spare = Acted(hangs_for_ever), Acted(_works)
        pools = pool_of({"a": hung}, fallbacks=["spare"]), pool_of({"s": spare}, name="spare")
        after = await answered_after(router_of(*pools), stream=stream)
        assert (hung.sent, spare.sent) == (1, 1)
        assert seconds <= after < seconds + 10

    run_jumping(run())


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


# In front of real sockets.

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: a, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: b, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: dead, use: openai_compatible, options: {{base_url: "http://127.0.0.1:{dead}/v1"}}}}
pools:
  - name: two
    targets: [{{provider: a, model: first}}, {{provider: b, model: second}}]
    breaker: {{open_s: 0.2}}
    timeouts: {{first_token_s: 2, answer_s: 2}}
  - name: refused
    targets: [{{provider: dead, model: first}}, {{provider: b, model: second}}]
  - name: one
    targets: [{{provider: a, model: first}}]
  - name: narrow
    targets: [{{provider: a, model: first}}]
    timeouts: {{total_s: 1}}
    queue: {{in_flight_per_target: 1, waiting: 1, wait_s: 0.5}}
  - name: three
    strategy: round_robin
    targets:
      - {{provider: dead, model: dead}}
      - {{provider: a, model: hangs}}
      - {{provider: b, model: slow}}
    timeouts: {{first_token_s: 2, answer_s: 2}}
"""

GOOD = orjson.dumps(completion("good"))
Work = Callable[[Place, RawUpstream], Awaitable[None]]


async def good(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream(stream_of(["good"]))
    else:
        await exchange.json(200, GOOD)


def with_gateway(folder: Path, work: Work) -> None:
    async def run() -> None:
        async with raw_upstream(good) as fake:
            config = write_config(folder, CONFIG.format(url=fake.url, dead=free_port()))
            async with opened(config) as place:
                await work(place, fake)

    asyncio.run(run())


def asked(fake: RawUpstream) -> list[str]:
    return [r["model"] for r in fake.requests]


def answers(status: int) -> Callable[[Exchange], Awaitable[None]]:
    async def script(exchange: Exchange) -> None:
        error = {"message": "no", "type": "x", "param": None, "code": None}
        await exchange.json(status, orjson.dumps({"error": error}))

    return script


async def resets(exchange: Exchange) -> None:
    exchange.reset()


async def hangs(exchange: Exchange) -> None:
    await exchange.gone()


async def nonsense(exchange: Exchange) -> None:
    await exchange.json(200, b"{not json")


async def cut_off(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.write(STREAM_HEAD + CHUNKED)
    else:
        await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    exchange.writer.close()


AGAIN = (408, 409, 425, 429, 500, 501, 502, 503, 504, 529)
NEXT_TARGET = (401, 402, 403)
"""The target's keys are refused: it is not asked again, another one is."""
NEVER = (400, 404, 405, 413, 418, 422)
TABLE = [
    *(
        (str(status), answers(status), status not in NEVER)
        for status in AGAIN + NEXT_TARGET + NEVER
    ),
    ("reset", resets, True),
    ("hangs", hangs, True),
    ("nonsense", nonsense, True),
    ("cut off", cut_off, True),
]


@pytest.mark.parametrize(("name", "script", "again"), TABLE, ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("stream", [False, True])
def test_which_failures_are_tried_again(
    tmp_path: Path, name: str, script: Any, again: bool, stream: bool
) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        async def first_fails(exchange: Exchange) -> None:
            await (script if exchange.body["model"] == "first" else good)(exchange)

        fake.script = first_fails
        answer = await place.chat("two", stream=stream)
        assert (answer.status == 200) == again, answer.body
        assert asked(fake) == ["first", "second"][: 1 + again]
        if name in map(str, NEXT_TARGET):
            fake.requests.clear()
            assert (await place.chat("one", stream=stream)).status == 502
            assert asked(fake) == ["first"]

    with_gateway(tmp_path, work)


def test_a_refused_connection_is_tried_elsewhere(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        answer = await place.chat("refused")
        assert (answer.status, asked(fake)) == (200, ["second"])
        assert answer.headers["x-headgate-attempts"] == "2"

    with_gateway(tmp_path, work)


def test_a_target_comes_back_by_a_probe_and_the_last_one_is_never_taken_away(
    tmp_path: Path,
) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        sick = {"first"}

        async def script(exchange: Exchange) -> None:
            await (answers(500) if exchange.body["model"] in sick else good)(exchange)

        fake.script = script
        for _ in range(30):
            assert (await place.chat("two")).status == 200
        assert asked(fake).count("first") < 10
        sick.add("second")
        for _ in range(10):
            answer = await place.chat("two")
            assert answer.status == 502 and answer.error is not None
            assert answer.error["upstream_status"] == 500, "a call was refused untried"
        sick.clear()
        fake.requests.clear()
        assert (await place.chat("two")).status == 200
        while "first" not in asked(fake)[-3:]:  # open_s is over soon; a call is the probe
            assert len(fake.requests) < 5000
            assert (await place.chat("two")).status == 200

    with_gateway(tmp_path, work)


def test_an_outage_raises_the_upstreams_load_by_a_tenth_at_most(tmp_path: Path) -> None:
    calls = 200

    async def work(place: Place, fake: RawUpstream) -> None:
        for script in (good, answers(503), good):
            fake.script = script
            for _ in range(0, calls, 20):
                done = await asyncio.gather(*(place.chat("two") for _ in range(20)))
                assert {a.status for a in done} <= {200 if script is good else 502}
        assert len(fake.requests) <= 1.1 * 3 * calls

    with_gateway(tmp_path, work)


def test_no_wait_for_retry_after_is_longer_than_the_client_waits(tmp_path: Path) -> None:
    busy = b"".join((b'{"error": {"message": "busy", "type": "x"}}',))

    async def throttled(exchange: Exchange) -> None:
        await exchange.json(429, busy, "Retry-After: 3\r\n")

    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = throttled
        message = [{"role": "user", "content": "x"}]
        body = {"model": "one", "messages": message}
        answer = await place.ask(body, headers={"x-stainless-read-timeout": "2.0"})
        assert (answer.status, len(fake.requests)) == (429, 1)
        assert answer.headers["retry-after"] == "3"

    with_gateway(tmp_path, work)


@pytest.mark.parametrize("model", ["one", "refused"])
@pytest.mark.parametrize("header", ["x-stainless-read-timeout", "x-stainless-timeout"])
def test_a_callers_own_haste_opens_no_breaker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, header: str
) -> None:
    monkeypatch.setattr("headgate_gateway.http.sdk_headers._CUT_OFF_S", 0)

    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = hangs
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        for _ in range(8):
            answer = await place.ask(body, headers={header: "0.05"})
            assert answer.status == 504
        pool: Pool = place.endpoints.gateway._router.pools[model]
        assert pool.states[-1].breaker.state == "closed"

    with_gateway(tmp_path, work)


def test_a_client_that_takes_nothing_holds_its_place_until_total_s_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LAST_S", 0.05)

    async def talks(exchange: Exchange) -> None:
        if not exchange.body.get("stream"):
            await good(exchange)
            return
        await exchange.write(STREAM_HEAD + CHUNKED)
        await exchange.chunk(sse(chunk({"content": "Once upon a time"})))
        await exchange.chunk(sse(chunk({"content": "there was"})))
        await exchange.gone()

    async def work(place: Place, fake: RawUpstream) -> None:
        async def stalls(scope: Any, receive: Any, send: Any) -> None:
            async def taken(message: Any) -> None:
                await send(message)
                if message.get("body"):
                    await asyncio.Event().wait()

            await place.endpoints(scope, receive, taken)

        fake.script = talks
        stalled = Place(cast("Endpoints", stalls))
        answer = await asyncio.wait_for(stalled.chat("narrow", stream=True), 20)
        assert (len(answer.pieces), answer.ends, fake.open) == (1, 0, 0)
        assert [r["outcome"] for r in place.records] == ["cancelled"]
        assert (await place.chat("narrow")).status == 200, "the place in the queue is not free"

    with_gateway(tmp_path, work)


def test_a_pool_of_three_with_one_that_works_fails_no_call(tmp_path: Path) -> None:
    """One target refuses connections, one never says a word, one is slow; all else is default."""
    calls, at_once = 400, 30

    async def script(exchange: Exchange) -> None:
        if exchange.body["model"] == "hangs":
            await exchange.gone()
            return
        await asyncio.sleep(0.02)
        await good(exchange)

    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = script
        gate = asyncio.Semaphore(at_once)
        streams = itertools.cycle((False, True))

        async def one(stream: bool) -> bool:
            async with gate:
                answer = await place.chat("three", stream=stream)
            return answer.status == 200 and (answer.done or not stream)

        done = await asyncio.gather(*(one(next(streams)) for _ in range(calls)))
        failed = [r["attempts"] for r in place.records if r["outcome"] != "ok"]
        assert (failed, done) == ([], [True] * calls)
        assert len(fake.requests) <= 1.1 * calls
        three: Pool = place.endpoints.gateway._router.pools["three"]
        assert [s.breaker.state for s in three.states] == ["open", "open", "closed"]
        assert three.settings.retries.attempts == 3

    with_gateway(tmp_path, work)


def test_retries_of_the_clients_own_sdk_earn_no_further_retries(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = answers(503)
        body = {"model": "two", "messages": [{"role": "user", "content": "x"}]}
        for _ in range(200):
            again = await place.ask(body, headers={"x-stainless-retry-count": "1"})
            assert again.status == 502
        assert 200 < len(fake.requests) <= 200 + 10, "the reserve, and nothing on top"

    with_gateway(tmp_path, work)
