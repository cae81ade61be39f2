"""Where providers say themselves that a stream is over: each has a mark of its own for it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from headgate_core.errors import UpstreamError, UpstreamMalformed
from headgate_core.types import Json
from headgate_gateway.replies.tiers import served_tier
from headgate_gateway.sdk.frames import Frames, exception_of
from headgate_gateway.sdk.reasons import failed, stated
from headgate_gateway.sse import SseEvent, SseSplitter
from headgate_gateway.upstream import lenient_json
from headgate_gateway.upstream.errors import named_error, reported

_ANTHROPIC = frozenset(
    {
        *("message_start", "message_delta", "message_stop"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
    }
)
_COHERE = frozenset(
    {
        *("message-start", "content-start", "content-delta", "content-end", "message-end"),
        *("tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end"),
        *("citation-start", "citation-end"),
    }
)
_RESPONSES = frozenset({"response.completed", "response.incomplete"})
_CONVERSE = frozenset(
    {
        *("messageStart", "messageStop"),
        *("contentBlockStart", "contentBlockDelta", "contentBlockStop"),
    }
)


@dataclass(slots=True)
class Ends:
    """What the events of one stream have said about its end."""

    known: bool = False
    """The events are of a provider whose end is known; of others nothing can be told."""
    closed: bool = False
    """The last event came; what follows it does not matter, nor what becomes of the connection."""
    error: UpstreamError | None = None
    """The provider reported an error instead of going on."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Why each choice ends, in the provider's own word."""
    matched: str = ""
    """The caller's stop sequence that ended the text, where the provider says which."""
    tier: str = ""
    """The service tier that it says it serves."""
    _stopped: bool = False
    _parts: dict[object, bool] = field(default_factory=dict)
    """The choices or candidates seen so far, and whether each has given its reason."""

    @property
    def ended(self) -> bool:
        """Whether the provider itself has said why the answer ends, or that nothing follows."""
        return self._stopped or bool(self._parts and (self.closed or all(self._parts.values())))

    def read(self, body: Json, name: str = "") -> None:
        """One event, or a whole reply; ``name`` stands in its frame, where its frame has one."""
        if self.error is None:
            self.error = reported(body) if name == "" else None
        self.tier = served_tier(body) or self.tier
        for choice, word in stated(body):
            self.reasons[choice] = word
            self.error = self.error or failed(word)
        kind = body.get("type") or name
        if isinstance(body.get("choices"), list):
            self._told(body["choices"], "finish_reason")
        elif isinstance(body.get("candidates"), list) and body["candidates"]:
            self._told(body["candidates"], "finishReason")
        elif "usageMetadata" in body or "promptFeedback" in body:
            blocked = body.get("promptFeedback") or {}
            self._mark(bool(isinstance(blocked, dict) and blocked.get("blockReason")))
        elif kind in _ANTHROPIC:
            delta = body.get("delta") or {}
            self._sequence(delta)
            self.closed = self.closed or kind == "message_stop"
            self._mark(self.closed or bool(kind == "message_delta" and delta.get("stop_reason")))
        elif kind in _COHERE:
            self._mark(kind == "message-end")
        else:
            self._others(body, kind if isinstance(kind, str) else "")

    def _sequence(self, message: Json) -> None:
        sequence = message.get("stop_sequence")
        self.matched = sequence if isinstance(sequence, str) else self.matched

    def _others(self, body: Json, kind: str) -> None:
        if kind == "message":  # of Anthropic's, in one piece
            self._sequence(body)
        elif kind.startswith("response."):
            self._mark(kind in _RESPONSES)
        elif kind in _CONVERSE:
            self._mark(kind == "messageStop")
        elif nested := _CONVERSE & body.keys():
            self._mark("messageStop" in nested)
        elif "event_type" in body:  # Cohere's first API
            self._mark(body["event_type"] == "stream-end")
        elif isinstance(body.get("done"), bool):  # Ollama
            self._mark(body["done"])

    def _told(self, parts: list[Any], member: str) -> None:
        self.known = True
        for part in parts:
            if isinstance(part, dict):
                index = str(part.get("index") or 0)
                self._parts[index] = self._parts.get(index, False) or bool(part.get(member))

    def _mark(self, stopped: bool) -> None:
        self.known = True
        self._stopped = self._stopped or stopped


class Framing(Protocol):
    """Cuts bytes into events and reads them, up to the one that closes the stream."""

    ends: Ends

    def feed(self, data: bytes) -> None:
        """Bytes as they came. Raises ``UpstreamMalformed`` and ``SseTooLarge``."""
        ...

    def torn(self) -> bool:
        """The body is over: whether it ended in the middle of an event."""
        ...


def framing(content_type: str, first: bytes) -> Framing | None:
    """How this body is cut into events; None = it is one whole."""
    content_type = content_type.lower()
    if "amazon.eventstream" in content_type:
        return EventFrames()
    if "ndjson" in content_type or "stream+json" in content_type or "jsonl" in content_type:
        return Lines()
    told = first.lstrip().startswith((b"data:", b"event:", b": "))
    return ServerEvents() if told or "event-stream" in content_type else None


class ServerEvents:
    """``text/event-stream``, as OpenAI, Anthropic, Gemini, Cohere and most others send."""

    def __init__(self) -> None:
        self.ends = Ends()
        self._splitter = SseSplitter()

    def feed(self, data: bytes) -> None:
        """Bytes as they came. Raises ``UpstreamMalformed`` and ``SseTooLarge``."""
        if self.ends.closed:
            return
        for event in self._splitter.feed(data):
            self._read(event)

    def torn(self) -> bool:
        """Whether the body ended in the middle of an event."""
        rest = self._splitter.rest()
        if self.ends.closed or rest is None or rest.raw.startswith(b":"):
            return False
        try:
            self._read(rest)
        except UpstreamMalformed:
            return True
        return not rest.data

    def _read(self, event: SseEvent) -> None:
        if self.ends.closed:
            return
        if event.data.startswith(b"[DONE]"):
            self.ends.closed = True
        elif event.name == b"error" and self.ends.error is None:
            self.ends.error = named_error(event.data)
        elif event.data:
            self.ends.read(_object(event.data))


class Lines:
    """One JSON object a line, as Ollama and Cohere's first API send."""

    def __init__(self) -> None:
        self.ends = Ends()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Bytes as they came. Raises ``UpstreamMalformed``."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                self.ends.read(_object(line))

    def torn(self) -> bool:
        """Whether the body ended in the middle of a line."""
        try:
            self.feed(b"\n")
        except UpstreamMalformed:
            return True
        return False


class EventFrames:
    """``application/vnd.amazon.eventstream``, as Bedrock sends."""

    def __init__(self) -> None:
        self.ends = Ends()
        self._frames = Frames()

    def feed(self, data: bytes) -> None:
        """Bytes as they came. Raises ``UpstreamMalformed``."""
        for headers, payload in self._frames.feed(data):
            if self.ends.closed:
                return
            if headers.get(":message-type", "event") != "event":
                self.ends.error = self.ends.error or exception_of(headers, payload)
            else:
                self._read(headers, _object(payload))

    def torn(self) -> bool:
        """Whether the body ended in the middle of a frame."""
        return self._frames.rest > 0 and not self.ends.closed

    def _read(self, headers: Mapping[str, str], body: Json) -> None:
        inner = body.get("bytes")
        if not isinstance(inner, str):
            self.ends.read(body, headers.get(":event-type", ""))
            return
        try:
            self.ends.read(_object(base64.b64decode(inner, validate=True)))
        except binascii.Error as error:
            raise UpstreamMalformed("The stream holds an event that is not base64.") from error


def _object(data: bytes) -> Json:
    try:
        body: Any = lenient_json.loads(data)
    except ValueError as error:
        raise UpstreamMalformed("The stream holds an event that is not JSON.") from error
    return body if isinstance(body, dict) else {}
