"""litellm's streams are watched, not judged: what the SDK can read is shown before a fault."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hosted_bodies import DIALECTS, TEXT, Dialect
from hosted_checks import SDK_WARNINGS
from hosted_world import streams, with_hosted
from in_process import Place
from raw_upstream import RawUpstream
from upstream import chunk, sse

from headgate_gateway.sdk.wire import Wire
from headgate_gateway.sse import MAX_EVENT

Json = dict[str, Any]

pytestmark = SDK_WARNINGS

DONE = b"data: [DONE]\n\n"
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
ERROR = b"event: error\n" + sse(OVERLOADED)
BY_NAME = {one.name: one for one in DIALECTS}
SAID = [sse(chunk({"role": "assistant", "content": "hel"})), sse(chunk({"content": "lo"}))]
STOP = [sse(chunk({}, "stop")), DONE]


def spoiled(**members: Any) -> bytes:
    """The second event of the text, with members of its own as Python writes them."""
    return b"data: " + json.dumps({**chunk({"content": "lo"}), **members}).encode() + b"\n\n"


READABLE = {
    "a number that is none": [SAID[0], spoiled(score=float("nan")), *STOP],
    "an infinite number": [SAID[0], spoiled(score=float("-inf")), *STOP],
    "an empty error": [spoiled(error=[]), SAID[0], *STOP],
    "an error without words": [SAID[0], spoiled(error={}), *STOP],
    "words after the end": [*SAID, *STOP, b"data: bye\n\n"],
    "half an event after the end": [*SAID, *STOP, b'data: {"a'],
}


@pytest.mark.parametrize("how", READABLE)
def test_what_the_sdk_can_read_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        for pieces in (READABLE[how], [b"".join(READABLE[how])]):
            fake.script = streams(BY_NAME["mistral"], pieces)
            answer = await place.chat("mistral", stream=True)
            assert answer.done and sorted(answer.text) == sorted("hello"), answer.body
        assert [r["outcome"] for r in place.records] == ["ok", "ok"]
        assert len(fake.requests) == 2

    with_hosted(tmp_path, monkeypatch, ask)


def test_halves_of_a_sign_do_not_end_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(place: Place, fake: RawUpstream) -> None:
        half = b"data: " + json.dumps(chunk({"content": "lo \ud83d"})).encode() + b"\n\n"
        fake.script = streams(BY_NAME["mistral"], [SAID[0], half, *STOP])
        answer = await place.chat("mistral", stream=True)
        assert answer.done and answer.text == "hello \ufffd"

    with_hosted(tmp_path, monkeypatch, ask)


def before_the_end(one: Dialect) -> tuple[bytes, bytes]:
    """A whole stream of the dialect, in two: its text, and its end."""
    data = one.stream(one.usage)
    marks = {"anthropic": b"event: content_block_stop", "cohere": b"event: message-end"}
    mark = marks.get(one.name, b"")
    at = data.index(mark) if mark in data and mark else 0
    return data[:at], data[at:]


@pytest.mark.parametrize("name", ["anthropic", "mistral"])
def test_text_before_an_error_goes_out_and_is_booked_however_the_bytes_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    said = before_the_end(BY_NAME[name])[0] or b"".join(SAID)

    async def ask(place: Place, fake: RawUpstream) -> None:
        for pieces in ([said, ERROR], [said + ERROR]):
            fake.script = streams(BY_NAME[name], pieces)
            answer = await place.chat(name, stream=True)
            assert answer.status == 200 and not answer.done, answer.body
            assert answer.text == (TEXT if name == "anthropic" else "hello")
            assert answer.error is not None and answer.error["message"] == "Overloaded"
        apart, together = (record["usage"] for record in place.records)
        assert apart == together and together["output_tokens"] > 1

    with_hosted(tmp_path, monkeypatch, ask)


def test_an_error_after_anthropics_last_event_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = BY_NAME["anthropic"]

    async def ask(place: Place, fake: RawUpstream) -> None:
        fake.script = streams(one, [one.stream(one.usage) + ERROR])
        answer = await place.chat("anthropic", stream=True)
        assert answer.done and answer.text == TEXT

    with_hosted(tmp_path, monkeypatch, ask)


def watched(*pieces: bytes) -> Wire:
    wire = Wire()
    wire.answered(200, {"content-type": "text/event-stream"})
    for data in pieces:
        wire.take(data)
    wire.ends()
    return wire


def test_what_follows_the_end_is_not_read() -> None:
    for data in (sse(OVERLOADED), ERROR, b"data: bye\n\n", b'data: {"a'):
        wire = watched(*SAID, *STOP, data)
        assert wire.fault(over=True) is None and wire.unread is None and wire.knows


def test_an_event_that_is_too_large_ends_the_watching_and_not_the_stream() -> None:
    wire = watched(sse(chunk({"content": "a"})), b"data: " + b"A" * (MAX_EVENT + 1), b"\n\n")
    assert wire.fault(over=True) is None and not wire.knows


def test_an_event_that_cannot_be_read_is_told_where_nothing_else_came() -> None:
    wire = watched(sse(chunk({"content": "a"})), b"data: no json\n\n", sse(chunk({}, "stop")))
    assert wire.fault(over=True) is None and not wire.knows
    assert wire.unread is not None and wire.unread.error_code == "upstream_malformed"


def test_the_names_of_shapes_that_are_none_do_no_harm() -> None:
    wire = watched(sse({"type": ["x"]}), sse(chunk({}, "stop")), DONE)
    assert wire.fault(over=True) is None
