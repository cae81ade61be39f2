"""A chat reply as a Responses object, whole or as the typed events of a stream."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.types import Json
from headgate_gateway.http.dialects.replies import Reading
from headgate_gateway.http.dialects.responses_output import Output
from headgate_gateway.http.meta import meta
from headgate_gateway.sse import encode_named

_ECHOED: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}
"""Members of the request that the response repeats, and what they are when they are not set."""

_CODES = frozenset({"rate_limit_exceeded", "invalid_prompt", "image_content_policy_violation"})


def response_error(error: HeadgateError) -> Json:
    """A failed response's ``error``: whose codes are a published list; an event's are not."""
    code = error.error_code if error.error_code in _CODES else "server_error"
    return {"code": code, "message": error.message}


class Out:
    """One response."""

    def __init__(self, request: Json) -> None:
        self._request = request
        self._reading = Reading()
        self._output = Output(self._event)
        self._sequence = 0
        self._opened = False
        self._model = ""

    def whole(self, ctx: Context, body: Json) -> Json:
        """The response of a reply that came at once, but for what the settled call tells."""
        for _ in self.chunk(ctx, body):
            pass  # the events build the items
        for _ in self._ends(ctx):
            pass
        return self._response(ctx, self._status()[0])

    def settled(self, ctx: Context) -> Json:
        """The response as it ends, with its usage and the ``headgate`` member."""
        usage = self._reading.usage(ctx)
        status, why = self._status()
        return {
            **self._response(ctx, status),
            "incomplete_details": {"reason": why} if why else None,
            "usage": {
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {
                    "cached_tokens": usage.cached_input_tokens,
                    "cache_write_tokens": 0,
                },
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.input_tokens + usage.output_tokens,
            },
            "headgate": meta(ctx),
        }

    def opening(self, ctx: Context, held_back: bool) -> Iterator[bytes]:
        """The response exists and is being worked on."""
        self._opened = True
        self._output.held_back = held_back
        shown = self._response(ctx, "in_progress")
        yield self._event("response.created", response=shown)
        yield self._event("response.in_progress", response=shown)

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The events of one chunk."""
        reading = self._reading
        for piece in reading.read(body):
            yield from self._output.take(ctx.call_id, piece, reading.annotations)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """All items are done, and the response with them."""
        yield from self._ends(ctx)
        shown = self.settled(ctx)
        yield self._event(f"response.{shown['status']}", response=shown)

    def failure(self, ctx: Context, error: HeadgateError, said: Json) -> Iterator[bytes]:
        """The error, and the response that failed of it; ``said`` is the envelope's ``error``."""
        if not self._opened:  # a keep-alive had gone out, so that there was no status to send
            yield from self.opening(ctx, False)
        yield self._event(
            "error",
            code=error.error_code,
            message=error.message,
            param=said["param"],
        )
        shown = self._response(ctx, "failed")
        shown["error"] = response_error(error)
        yield self._event("response.failed", response=shown)

    def _event(self, kind: str, **members: object) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence, **members}
        self._sequence += 1
        return encode_named(kind, orjson.dumps(data))

    def _response(self, ctx: Context, status: str) -> Json:
        given = {k: self._request.get(k) for k in _ECHOED if self._request.get(k) is not None}
        return {
            "id": f"resp_{ctx.call_id}",
            "object": "response",
            "created_at": ctx.started_unix_ns // 10**9,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            **_ECHOED,
            **given,
            "model": self._named(ctx),
            "output": self._output.bodies,
            "previous_response_id": None,
            "store": False,
            "truncation": "disabled",
            "usage": None,
        }

    def _named(self, ctx: Context) -> str:
        """The model, by the same name in all events of the response."""
        told = ctx.reply.facts.model if ctx.reply is not None else ""
        self._model = self._model or self._reading.model or told or ctx.asked_model
        return self._model

    def _status(self) -> tuple[str, str]:
        if self._reading.finish == "length":
            return "incomplete", "max_output_tokens"
        if self._reading.finish == "content_filter":
            return "incomplete", "content_filter"
        return "completed", ""

    def _ends(self, ctx: Context) -> Iterator[bytes]:
        return self._output.close(ctx.call_id, self._status()[0], self._reading.annotations)
