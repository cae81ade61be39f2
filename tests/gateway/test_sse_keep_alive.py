"""A long wait for a first byte is broken by comments; from then on, an error is an event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from configs import proxy_config
from in_process import Place, opened
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream, raw_upstream
from upstream import stream_of

from headgate_gateway.http import event_stream

COMMENT = b": keep-alive\n\n"
EVENTS = stream_of(["Hello", " world"])

Work = Callable[[Place, RawUpstream], Awaitable[None]]


def run(folder: Path, work: Work) -> None:
    async def inside() -> None:
        async def unset(exchange: Exchange) -> None:
            raise AssertionError("the test has set no script")

        async with (
            raw_upstream(unset) as fake,
            opened(proxy_config(folder, fake.url)) as place,
        ):
            await work(place, fake)

    asyncio.run(inside())


class Waits:
    """An upstream that goes on once the client has got a comment."""

    def __init__(self, onward: Callable[[Exchange], Awaitable[None]]) -> None:
        self._onward = onward
        self._commented = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await asyncio.wait_for(self._commented.wait(), 10)
        await self._onward(exchange)

    def saw(self, piece: bytes) -> None:
        if piece == COMMENT:
            self._commented.set()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.02)


def test_a_quick_answer_has_no_comment_and_the_first_comes_after_15_s(tmp_path: Path) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = lambda exchange: exchange.stream(EVENTS)
        answer = await place.chat("plain", stream=True)
        assert COMMENT not in answer.body and answer.done
        assert answer.headers["x-headgate-target"] == "up/fake"

    assert event_stream.KEEP_ALIVE_S == 15
    run(tmp_path, ask)


@pytest.mark.usefixtures("soon")
def test_a_stream_that_is_long_in_coming_is_kept_alive(tmp_path: Path) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = upstream = Waits(lambda exchange: exchange.stream(EVENTS))
        answer = await place.chat_saw("plain", upstream.saw)
        assert answer.body.startswith(COMMENT)
        assert answer.text == "Hello world" and answer.done
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert place.records[-1]["outcome"] == "ok"

    run(tmp_path, ask)


@pytest.mark.usefixtures("soon")
def test_after_a_comment_an_error_is_an_event_and_another_target_can_still_answer(
    tmp_path: Path,
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = upstream = Waits(lambda exchange: exchange.json(503, b"{}"))
        answer = await place.chat_saw("plain", upstream.saw)
        assert answer.status == 200 and not answer.done and answer.ends == 1
        assert answer.error is not None and answer.error["upstream_status"] == 503
        assert place.records[-1]["status"] == 502
        fake.script = upstream = Waits(lambda exchange: exchange.json(503, b"{}"))
        answer = await place.chat_saw("safe", upstream.saw)
        assert answer.text == "Say hello." and answer.done

    run(tmp_path, ask)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("commented", [False, True])
def test_after_the_first_byte_no_comment_comes(tmp_path: Path, commented: bool) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        async def pausing(exchange: Exchange) -> None:
            await exchange.write(STREAM_HEAD + CHUNKED)
            for event in [EVENTS[0] + EVENTS[1], *EVENTS[2:]]:
                await exchange.chunk(event)
                await asyncio.sleep(5 * event_stream.KEEP_ALIVE_S)
            await exchange.write(b"0\r\n\r\n")

        upstream = Waits(pausing)
        fake.script = upstream if commented else pausing
        answer = await place.chat_saw("plain", upstream.saw)
        before, content = answer.body.split(b"data:", 1)
        assert COMMENT not in content and (COMMENT in before or not commented)
        assert answer.text == "Hello world" and answer.done

    run(tmp_path, ask)


@pytest.mark.usefixtures("soon")
def test_an_answer_that_is_no_stream_is_not_begun_before_its_status_is_known(
    tmp_path: Path,
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        async def late(exchange: Exchange) -> None:
            await asyncio.sleep(0.1)
            await exchange.json(503, b"{}")

        fake.script = late
        assert (await place.chat("plain")).status == 502

    run(tmp_path, ask)


def test_the_upstreams_own_comments_are_not_passed_on(tmp_path: Path) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = lambda exchange: exchange.stream([b": PROCESSING\n\n", *EVENTS])
        assert b"PROCESSING" not in (await place.chat("plain", stream=True)).body

    run(tmp_path, ask)
