"""Anthropic's Messages wire: ``POST /v1/messages``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.types import Json
from headgate_gateway.http.dialects import anthropic_out
from headgate_gateway.http.dialects.anthropic_in import chat_of
from headgate_gateway.http.dialects.anthropic_marks import unmarked
from headgate_gateway.http.dialects.replies import Reading
from headgate_gateway.sse import encode_named

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_PARAMS = {
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "reasoning_effort": "thinking",
    "response_format": "output_config.format",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
}
"""Members of the chat body by what they are called here."""
OVERLOADED = 529
"""Anthropic's own status for what HTTP calls 503."""


class Anthropic:
    """One call."""

    path: ClassVar[str] = "messages"

    def __init__(self, body: Json) -> None:
        self._body = body
        self._stream = anthropic_out.Stream(self._stops)
        self._reading = Reading()
        self.dropped: list[str] = []
        self.marks = False
        self.prompt = ""

    @property
    def _stops(self) -> list[str]:
        stops = self._body.get("stop_sequences")
        return stops if isinstance(stops, list) else []

    @classmethod
    def refusal(cls, error: HeadgateError, call_id: str) -> tuple[int, Json, dict[str, str]]:
        """The error in Anthropic's envelope."""
        status = OVERLOADED if error.error_code == "overloaded" else error.http_status
        kind = _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")
        said: Json = {"type": kind, "message": error.message, "code": error.error_code}
        if error.param:
            said["param"] = cls.named(error.param)
        body = {"type": "error", "error": {**said, **error.extra}, "request_id": call_id or None}
        return status, body, {"request-id": call_id} if call_id else {}

    @staticmethod
    def named(member: str) -> str:
        """What a member of the chat body is called here."""
        return _PARAMS.get(member, member)

    def chat(self) -> Json:
        """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
        chat = chat_of(self._body, self.dropped)
        if not self.marks:
            self.dropped[:0] = [name for name in unmarked(chat) if name not in self.dropped]
        return chat

    def headers(self, ctx: Context) -> dict[str, str]:
        """The call's id under Anthropic's name."""
        return {"request-id": ctx.call_id}

    def whole(self, ctx: Context, body: Json) -> Json:
        """The message."""
        return anthropic_out.whole(ctx, self._reading, body, self._stops)

    def settled(self, ctx: Context, said: Json) -> Json:
        """The message with its usage and the ``headgate`` member."""
        return {**said, **anthropic_out.settled(ctx, self._reading)}

    def opening(self, ctx: Context, held_back: bool) -> Iterator[bytes]:
        """The stream begins with its first chunk."""
        return self._stream.opening(held_back)

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The events of one chunk."""
        return self._stream.chunk(ctx, body)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """The end of the message."""
        return self._stream.closing(ctx)

    def failure(self, ctx: Context, error: HeadgateError) -> Iterator[bytes]:
        """``event: error``; no ``message_stop`` follows."""
        _, body, _ = self.refusal(error, ctx.call_id)
        yield encode_named("error", orjson.dumps(body))
