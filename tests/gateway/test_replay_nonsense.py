"""Errors and nonsense in a 200 are errors, streamed or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_process import Place
from raw_upstream import RawUpstream
from replay import (
    recorded,
)
from replay_world import (
    OWN,
    sends,
    streamed,
    usages,
    with_gateway,
)
from upstream import chunk, sse


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
