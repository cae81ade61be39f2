"""Replies that come in the caller's own wire: passed on as they are, ended as that wire ends."""

from __future__ import annotations

from typing import Protocol

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.reply import Raw
from headgate_core.types import Json
from headgate_gateway.http.dialects.responses_out import response_error
from headgate_gateway.http.envelope import envelope
from headgate_gateway.http.meta import with_meta
from headgate_gateway.sse import DONE, encode, encode_named
from headgate_gateway.upstream import lenient_json


class Passed(Protocol):
    """One stream on its way through."""

    def __init__(self, ctx: Context) -> None: ...

    def event(self, event: Raw) -> bytes:
        """What goes out now for one event."""
        ...

    def closing(self) -> bytes:
        """What a complete stream ends with; the call is settled."""
        ...

    def failure(self, error: HeadgateError) -> bytes:
        """What a stream ends with that fails after its first event."""
        ...


class PassedResponse:
    """A response. Its last event waits until the call is settled."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._first = self._last = b""
        self._held: list[bytes] = []

    def event(self, event: Raw) -> bytes:
        """The event, unless it is the one that ends the response."""
        self._first = self._first or event.data
        self._last = event.data
        reply = self._ctx.reply
        if reply is None or not reply.facts.finish_reasons:
            return event.data
        self._held.append(event.data)
        return b""

    def closing(self) -> bytes:
        """The event that ends the response; with the ``headgate`` member where it was asked for."""
        if self._ctx.meta_asked and self._held:
            body = data_of(self._held[-1])
            body["response"] = with_meta(self._ctx, body.get("response") or {})
            self._held[-1] = encode_named(str(body["type"]), orjson.dumps(body))
        return b"".join(self._held)

    def failure(self, error: HeadgateError) -> bytes:
        """``error`` and ``response.failed``, counted on from the upstream's last event."""
        last = data_of(self._last).get("sequence_number")
        number = last + 1 if isinstance(last, int) else 0
        code, said = error.error_code, error.message
        event = {"type": "error", "sequence_number": number, "code": code, "message": said}
        response: Json = data_of(self._first).get("response") or {}
        response |= {"status": "failed", "error": response_error(error)}
        failed = {"sequence_number": number + 1, "response": response}
        return _named("error", {**event, "param": error.param}) + _named("response.failed", failed)


class PassedCompletion:
    """A text completion: chunks up to ``[DONE]``, as in chat."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last = b""

    def event(self, event: Raw) -> bytes:
        """The event."""
        self._last = event.data
        return event.data

    def closing(self) -> bytes:
        """``[DONE]``; before it a chunk with the ``headgate`` member where it was asked for."""
        if not self._ctx.meta_asked:
            return DONE
        members = ("id", "object", "created", "model")
        body = {k: v for k, v in data_of(self._last).items() if k in members}
        return encode(orjson.dumps(with_meta(self._ctx, {**body, "choices": []}))) + DONE

    def failure(self, error: HeadgateError) -> bytes:
        """The error; no ``[DONE]`` follows."""
        return encode(orjson.dumps(envelope(error, self._ctx.call_id)))


PASSED: dict[str, type[Passed]] = {"responses": PassedResponse, "completions": PassedCompletion}
"""By the wire's endpoint."""


def data_of(event: bytes) -> Json:
    """The JSON object of an event; empty where it holds none."""
    lines = [line for line in event.split(b"\n") if line.startswith(b"data:")]
    try:
        body = lenient_json.loads(b"\n".join(line[5:] for line in lines))
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _named(kind: str, body: Json) -> bytes:
    return encode_named(kind, orjson.dumps({"type": kind, **body}))
