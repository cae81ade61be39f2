"""What upstreams really send, cut at every class of position: the client gets equal content."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from configs import proxy_config
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from replay import (
    Body,
    expected_chunks,
    json_events,
    own_bodies,
    recorded,
    recorded_chat_streams,
    splits,
)
from upstream import chunk, completion, sse

OWN = own_bodies()
RECORDED = recorded_chat_streams()
needs_data = pytest.mark.skipif(not RECORDED, reason="HEADGATE_DATA names no recorded bodies")

Work = Callable[[Place, RawUpstream], Awaitable[None]]


def configured(folder: Path, url: str) -> Path:
    """A route that forwards bytes, ``plain``, and one that parses them, ``captured``."""
    config = proxy_config(folder, url)
    with config.open("a") as file:
        file.write("  - {name: captured, pool: main, capture: full}\n")
    return config


def with_gateway(folder: Path, work: Work) -> None:
    async def run() -> None:
        async def unset(exchange: Exchange) -> None:
            raise AssertionError("the test has set no script")

        async with raw_upstream(unset) as fake, opened(configured(folder, fake.url)) as place:
            await work(place, fake)

    asyncio.run(run())


def sends(pieces: list[bytes], *, end: bool = True) -> Callable[[Exchange], Awaitable[None]]:
    async def script(exchange: Exchange) -> None:
        await exchange.stream(pieces, end=end)
        if not end:
            exchange.writer.close()

    return script


async def streamed(place: Place, model: str, *, asked: bool) -> Answer:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    answer = await place.chat(model, stream=True, **options)
    assert answer.status == 200, answer.body
    return answer


def usages(answer: Answer) -> list[object]:
    return [c["usage"] for c in answer.chunks if c.get("usage")]


async def equal_content(place: Place, fake: RawUpstream, body: Body) -> None:
    """The same bytes for every cut, and the ones that the upstream meant."""
    wanted = {asked: expected_chunks(body.data, asked) for asked in (True, False)}
    reported = any(b.get("usage") for b in json_events(body.data))
    first: dict[bool, bytes] = {}
    for n, (name, pieces) in enumerate(splits(body.data)):
        fake.script = sends(pieces)
        asked = bool(n % 2)
        answer = await streamed(place, "plain", asked=asked)
        estimated = asked and not reported  # a last chunk of the gateway's own, with its own time
        assert answer.chunks[: -1 if estimated else None] == wanted[asked], name
        assert answer.done and answer.ends == 1
        assert estimated or answer.body == first.setdefault(asked, answer.body), name
        assert len(usages(answer)) == asked, name
        assert place.records[-1]["outcome"] == "ok"
    fake.script = sends([body.data])
    text = (await streamed(place, "plain", asked=False)).text
    for name, pieces in splits(body.data, seed=1):
        fake.script = sends(pieces)
        answer = await streamed(place, "captured", asked=True)
        assert answer.text == text, name
        assert answer.done and len(usages(answer)) == 1, name


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


def complete(data: bytes) -> bool:
    """Whether a body that the upstream ended properly after these bytes is a whole answer."""
    head, _, rest = data.replace(b"\r\n", b"\n").rpartition(b"\n\n")
    rest = rest.strip()
    try:
        bodies = json_events(head + b"\n\n" + rest)
    except orjson.JSONDecodeError:
        return False
    if rest and not rest.startswith(b"data: {") and rest != b"data: [DONE]":
        return False
    choices = [c for b in bodies for c in b.get("choices") or ()]
    begun = {c["index"] for c in choices}
    return bool(begun) and begun == {c["index"] for c in choices if c.get("finish_reason")}


CUT_OFF = [b for b in OWN if b.name in {"plain", "two choices", "tool calls", "plain, crlf"}]


@pytest.mark.parametrize("body", CUT_OFF, ids=str)
@pytest.mark.parametrize("how", ["cut", "ended"])
def test_a_truncated_upstream_never_becomes_a_done(tmp_path: Path, body: Body, how: str) -> None:
    async def every(place: Place, fake: RawUpstream) -> None:
        for k in range(0, len(body.data), 7 if how == "cut" else 3):
            fake.script = sends([body.data[:k]], end=how == "ended")
            answer = await place.chat("plain", stream=True)
            if how == "ended" and complete(body.data[:k]):
                assert answer.done, (k, answer.body)
                continue
            if b"[DONE]" in body.data[:k]:
                continue  # cut after the last word: nothing is missing
            assert b"[DONE]" not in answer.body, k
            assert answer.error is not None and answer.error["code"] == "upstream_truncated", k
            record = place.records[-1]
            assert (record["outcome"], record["error_code"]) == ("error", "upstream_truncated")
            if answer.text:
                assert record["usage"]["output_tokens"] > 0

    with_gateway(tmp_path, every)


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'data: {"error": {"message": "too busy", "code": 429}}\n\n', 429),
        (b'data: {"error": "too busy"}\n\n', 502),
        (b'event: error\ndata: {"error": {"message": "too busy", "code": "overloaded"}}\n\n', 502),
        (b'event: error\ndata: {"message": "too busy"}\n\n', 502),
        (b"event: error\ndata: too busy\n\n", 502),
        (b'data: {"type": "error", "message": "too busy", "code": 503}\n\n', 502),
        (b'data: {"object": "error", "message": "too busy", "code": 400}\n\n', 400),
        (
            b'data: {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error",'
            b' "error": {"message": "too busy"}}]}\n\n',
            502,
        ),
    ],
)
def test_an_error_inside_a_200_stream_is_an_error(
    tmp_path: Path, event: bytes, status: int
) -> None:
    plain = OWN[0].data

    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = sends([event, b"data: [DONE]\n\n"])
        answer = await place.chat("plain", stream=True)
        assert (answer.status, answer.json["error"]["message"]) == (status, "too busy")
        fake.script = sends([plain[: plain.index("日".encode())].rpartition(b"data")[0], event])
        answer = await place.chat("plain", stream=True)
        assert answer.status == 200 and answer.text
        assert answer.error is not None and answer.error["message"] == "too busy"
        assert b"[DONE]" not in answer.body
        assert [r["outcome"] for r in place.records[-2:]] == ["error", "error"]

    with_gateway(tmp_path, both)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": 5}',
        b'{"choices": ["x"]}',
        b"[]",
        b"5",
        b"{",
        b"",
        b'{"choices": [{"index": 0, "delta": 7}]}',
        b'{"choices": [], "usage": {"prompt_tokens": "x"}}',
        *(
            b'{"choices": [{"finish_reason": "stop", "message": M, "delta": M}]}'.replace(
                b"M", message
            )
            for message in (
                b'{"annotations": 5}',
                b'{"annotations": [5]}',
                b'{"annotations": [{"url_citation": 5}]}',
                b'{"tool_calls": {"a": 1}}',
                b'{"tool_calls": ["x"]}',
                b'{"tool_calls": [{"function": "f"}]}',
                b'{"tool_calls": [{"function": {"name": 5}}]}',
                b'{"function_call": "f"}',
                b'{"content": {"a": "b"}}',
                b'{"content": 5}',
                b'{"refusal": ["no"]}',
                b'{"audio": "x"}',
            )
        ),
        b'{"choices": [{"index": 0, "finish_reason": [], "delta": {}, "message": {}}]}',
        b'{"choices": [{"index": "0", "finish_reason": "stop", "delta": {}, "message": {}}]}',
        b'{"choices": [], "usage": 5}',
    ],
)
def test_nonsense_is_the_upstreams_fault_streamed_or_not(tmp_path: Path, body: bytes) -> None:
    async def both(place: Place, fake: RawUpstream) -> None:
        fake.script = sends([b"data: " + body + b"\n\n"])
        answer = await place.chat("plain", stream=True)
        assert answer.status == 502, answer.body
        if body != b'{"choices": [{"index": 0, "delta": 7}]}':
            fake.script = lambda exchange: exchange.json(200, body)
            assert (await place.chat("plain")).json["error"]["code"] == "upstream_malformed"

    with_gateway(tmp_path, both)


def test_an_error_that_says_nothing_is_an_error(tmp_path: Path) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        said = sse(chunk({"content": "Hi"}))
        fake.script = sends([said, b'data: {"error": {}}\n\n', b"data: [DONE]\n\n"])
        answer = await place.chat("plain", stream=True)
        assert answer.error is not None and answer.error["code"] == "upstream_error"
        assert not answer.done
        fake.script = lambda exchange: exchange.json(200, b'{"object": "error", "message": "boom"}')
        whole = await place.chat("plain")
        assert (whole.status, whole.json["error"]["message"]) == (502, "boom")

    with_gateway(tmp_path, ask)


def test_fewer_answers_than_asked_for_are_not_passed_off_as_all(tmp_path: Path) -> None:
    one = b"".join(sse(b) for b in (chunk({"content": "Hi"}), chunk({}, "stop")))

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = sends([one])
        answer = await place.chat("plain", stream=True, n=2)
        assert answer.error is not None and answer.error["code"] == "upstream_truncated"
        assert "1 of 2" in answer.error["message"] and not answer.done
        for end in (b"data: [DONE]\n\n", b"data: [DONE]"):
            fake.script = sends([one, end])
            assert (await place.chat("plain", stream=True, n=2)).done

    with_gateway(tmp_path, ask)


@pytest.mark.parametrize("route", ["plain", "captured"])
def test_usage_that_was_asked_for_is_told_though_the_upstream_told_none(
    tmp_path: Path, route: str
) -> None:
    told_none = b"".join(sse(b) for b in (chunk({"content": "Hello!"}), chunk({}, "stop")))

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = sends([told_none, b"data: [DONE]\n\n"])
        answer = await streamed(place, route, asked=True)
        booked = place.records[-1]["usage"]
        assert booked["estimated"]
        [usage] = usages(answer)
        assert usage == {
            "prompt_tokens": booked["input_tokens"],
            "completion_tokens": booked["output_tokens"],
            "total_tokens": booked["input_tokens"] + booked["output_tokens"],
        }
        assert answer.chunks[-1]["usage"] == usage and answer.chunks[-1]["choices"] == []
        assert not usages(await streamed(place, route, asked=False))

    with_gateway(tmp_path, ask)


def test_a_recorded_error_in_a_stream_is_an_error(tmp_path: Path) -> None:
    bodies = [b for b in recorded("sse") if b'\n"error":' in b.data or b'data: {"error"' in b.data]
    if not bodies:
        pytest.skip("HEADGATE_DATA names no recorded bodies")

    async def each(place: Place, fake: RawUpstream) -> None:
        for body in bodies:
            fake.script = sends([body.data])
            answer = await place.chat("plain", stream=True)
            assert answer.error is not None and b"[DONE]" not in answer.body

    with_gateway(tmp_path, each)


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
