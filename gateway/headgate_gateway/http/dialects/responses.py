"""OpenAI's Responses wire, translated to chat: ``POST /v1/responses``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.types import Json
from headgate_gateway.http.dialects.responses_in import chat_of, prompt_of
from headgate_gateway.http.dialects.responses_out import Out
from headgate_gateway.http.envelope import envelope

_PARAMS = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""Members of the chat body by what they are called here."""
_INPUTS = "headgate.inputs."


class Responses:
    """One call."""

    path: ClassVar[str] = "responses"

    def __init__(self, body: Json) -> None:
        self._body = body
        self._out = Out(body)
        self.dropped: list[str] = []
        self.marks = False
        self.prompt = prompt_of(body)

    @classmethod
    def refusal(cls, error: HeadgateError, call_id: str) -> tuple[int, Json, dict[str, str]]:
        """The error in OpenAI's envelope."""
        body = envelope(error, call_id)
        if error.param:
            body["error"]["param"] = cls.named(str(error.param))
        return error.http_status, body, {}

    @staticmethod
    def named(member: str) -> str:
        """What a member of the chat body is called here."""
        if member.startswith(_INPUTS):
            return f"prompt.variables.{member.removeprefix(_INPUTS)}"
        return _PARAMS.get(member, member)

    def chat(self) -> Json:
        """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
        return chat_of(self._body, self.dropped)

    def headers(self, ctx: Context) -> dict[str, str]:
        """None beside ours."""
        return {}

    def whole(self, ctx: Context, body: Json) -> Json:
        """The response."""
        return self._out.whole(ctx, body)

    def settled(self, ctx: Context, said: Json) -> Json:
        """The response with its usage and the ``headgate`` member."""
        return self._out.settled(ctx)

    def opening(self, ctx: Context, held_back: bool) -> Iterator[bytes]:
        """``response.created`` and ``response.in_progress``."""
        return self._out.opening(ctx, held_back)

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The events of one chunk."""
        return self._out.chunk(ctx, body)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """The end of all items and of the response."""
        return self._out.closing(ctx)

    def failure(self, ctx: Context, error: HeadgateError) -> Iterator[bytes]:
        """``error`` and ``response.failed``."""
        _, body, _ = self.refusal(error, ctx.call_id)
        return self._out.failure(ctx, error, body["error"])
