"""By which mark each provider's stream is known to be over."""

from __future__ import annotations

import base64
import json

import pytest
from hosted_bodies import frame

from headgate_core.errors import UpstreamMalformed, UpstreamStatus
from headgate_gateway.sdk.frames import Frames
from headgate_gateway.sdk.stream_ends import Framing, framing

SSE, LINES, AMAZON = (
    "text/event-stream",
    "application/x-ndjson",
    "application/vnd.amazon.eventstream",
)


def invoked(body: object) -> bytes:
    """A frame as Bedrock sends where the model's own dialect is asked for."""
    return frame("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode()})


STREAMS = {
    "two choices": (SSE, [b'data: {"choices": [{"index": 0, "finish_reason": "stop"}, '
                          b'{"index": 1}]}\n\n',
                          b'data: {"choices": [{"index": 1, "finish_reason": "length"}]}\n\n']),
    "gemini": (SSE, [b'data: {"candidates": [{"content": {}}]}\r\n\r\n',
                     b'data: {"candidates": [{"finishReason": "STOP"}]}\r\n\r\n']),
    "gemini blocks": (SSE, [b'data: {"usageMetadata": {}}\n\n',
                            b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\n\n']),
    "responses": (SSE, [b'data: {"type": "response.created"}\n\n',
                        b'data: {"type": "response.completed"}\n\n']),
    "done alone": (SSE, [b'data: {"choices": [{"index": 0}]}\n\n', b"data: [DONE]\n\n\n\n"]),
    "cohere 1": (LINES, [b'{"event_type": "text"}\n', b'{"event_type": "stream-end"}\n']),
    "ollama": (LINES, [b'{"done": false}\n', b'{"done": true}\n']),
    "bedrock": (AMAZON, [frame("contentBlockDelta", {"delta": {"text": "x"}}),
                         frame("messageStop", {"stopReason": "end_turn"})]),
    "bedrock, nova": (AMAZON, [invoked({"contentBlockDelta": {}}), invoked({"messageStop": {}})]),
    "bedrock, claude": (AMAZON, [invoked({"type": "message_start"}),
                                 invoked({"type": "message_stop"})]),
}  # fmt: skip


def made(content_type: str) -> Framing:
    found = framing(content_type, b"")
    assert found is not None
    return found


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_over_with_its_providers_mark_and_not_before(name: str) -> None:
    content_type, events = STREAMS[name]
    stream = made(content_type)
    stream.feed(events[0])
    assert stream.ends.known and not stream.ends.ended
    stream.feed(events[1][:-5])
    assert not stream.ends.ended
    stream.feed(events[1][-5:])
    assert stream.ends.ended and not stream.torn()


@pytest.mark.parametrize("name", STREAMS)
def test_a_body_that_stops_within_an_event_is_torn(name: str) -> None:
    content_type, events = STREAMS[name]
    stream = made(content_type)
    stream.feed(events[0] + events[1][:-8])
    assert stream.torn() and not stream.ends.ended


def test_of_events_in_an_unknown_form_nothing_is_claimed() -> None:
    stream = made(SSE)
    stream.feed(b'data: {"token": "a"}\n\n')
    assert not stream.ends.known
    assert framing("application/json", b'{"a": 1}') is None
    assert framing("", b'data: {"a": 1}') is not None


def test_an_exception_in_bedrocks_stream_keeps_its_meaning_and_words() -> None:
    stream = made(AMAZON)
    stream.feed(frame("throttlingException", {"message": "slow down"}, "exception"))
    error = stream.ends.error
    assert isinstance(error, UpstreamStatus)
    assert (error.upstream_status, error.message) == (429, "slow down")


@pytest.mark.parametrize("junk", [b"<html>" * 20, b"\xff" * 40, b"\0" * 40])
def test_bytes_that_are_no_frames_are_malformed(junk: bytes) -> None:
    with pytest.raises(UpstreamMalformed):
        list(Frames().feed(junk))
