"""What upstreams really send, cut at every class of position: the client gets equal content."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest
from in_process import Place
from raw_upstream import RawUpstream
from replay import (
    Body,
    json_events,
)
from replay_world import (
    OWN,
    RECORDED,
    equal_content,
    needs_data,
    sends,
    streamed,
    with_gateway,
)
from upstream import completion


@pytest.mark.parametrize("body", OWN, ids=str)
def test_the_client_gets_equal_content_whatever_the_split(tmp_path: Path, body: Body) -> None:
    with_gateway(tmp_path, lambda place, fake: equal_content(place, fake, body))


@needs_data
@pytest.mark.parametrize("part", range(4))
def test_recorded_streams_arrive_whole_whatever_the_split(tmp_path: Path, part: int) -> None:
    async def all_of(place: Place, fake: RawUpstream) -> None:
        for body in RECORDED[part::4]:
            await equal_content(place, fake, body)

    with_gateway(tmp_path, all_of)


def whole_of(body: Body) -> bytes:
    """The answer that is not streamed, with the usage that the stream reported last."""
    found = [b["usage"] for b in json_events(body.data) if b.get("usage")]
    answer = completion("Hello")
    del answer["usage"]
    return orjson.dumps(answer | ({"usage": found[-1]} if found else {}))


@pytest.mark.parametrize(
    "bodies", [OWN, pytest.param(RECORDED, marks=needs_data)], ids=["own", "recorded"]
)
def test_a_stream_costs_what_the_whole_answer_costs(tmp_path: Path, bodies: list[Body]) -> None:
    async def compare(place: Place, fake: RawUpstream) -> None:
        for body in bodies:
            if not any(b.get("usage") for b in json_events(body.data)):
                continue
            fake.script = sends([body.data])
            await streamed(place, "plain", asked=False)
            whole = whole_of(body)
            fake.script = lambda exchange, whole=whole: exchange.json(200, whole)  # type: ignore[misc]
            assert (await place.chat("plain")).status == 200
            stream, single = place.records[-2:]
            assert stream["usage"] == single["usage"], body
            assert stream["cost_pico"] == single["cost_pico"] > 0
            assert not stream["usage"]["estimated"]

    with_gateway(tmp_path, compare)


def test_tool_call_deltas_reach_the_client_byte_for_byte(tmp_path: Path) -> None:
    async def each(place: Place, fake: RawUpstream) -> None:
        for body in (b for b in OWN if b.name in ("tool calls", "tool calls without index")):
            fake.script = sends([body.data])
            answer = await streamed(place, "plain", asked=True)
            assert answer.body == body.data

    with_gateway(tmp_path, each)


def test_connections_are_used_again_after_complete_answers_only(tmp_path: Path) -> None:
    plain = OWN[0].data

    async def count(place: Place, fake: RawUpstream) -> None:
        fake.script = sends([plain])
        for _ in range(5):
            await streamed(place, "plain", asked=False)
            await asyncio.sleep(0.01)  # the body's end may come a moment after its [DONE]
        fake.script = lambda exchange: exchange.json(429, b"{}")
        for _ in range(3):
            assert (await place.chat("plain", stream=True)).status == 429
        assert fake.accepted == 1
        fake.script = sends([plain[:200]], end=False)
        await place.chat("plain", stream=True)
        fake.script = sends([plain])
        await streamed(place, "plain", asked=False)
        assert fake.accepted == 2

    with_gateway(tmp_path, count)
