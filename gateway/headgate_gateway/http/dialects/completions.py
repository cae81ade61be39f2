"""OpenAI's legacy text completions, asked of a chat model: ``POST /v1/completions``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError, InvalidRequest
from headgate_core.types import Json
from headgate_gateway.http.dialects.members import refuse, unserved
from headgate_gateway.http.dialects.replies import Kind, Speaker, choices_of, number_of
from headgate_gateway.http.envelope import envelope
from headgate_gateway.http.meta import Finale, with_meta
from headgate_gateway.replies.texts import part
from headgate_gateway.sse import DONE, encode

_NO_CHAT = {
    "suffix": "a chat model does not fill gaps.",
    "logprobs": "those of a chat model have another form.",
    "top_logprobs": "those of a chat model have another form.",
    "messages": "say `prompt`, or call /v1/chat/completions.",
    "max_completion_tokens": "say `max_tokens`.",
    "tools": "a completion is text; call /v1/chat/completions.",
    "tool_choice": "a completion is text; call /v1/chat/completions.",
    "functions": "a completion is text; call /v1/chat/completions.",
    "function_call": "a completion is text; call /v1/chat/completions.",
    "audio": "a completion is text; call /v1/chat/completions.",
    "modalities": "a completion is text; call /v1/chat/completions.",
}

_BORDER = "\n\n"
"""Between a refusal that has been told as the text and a text that comes after it."""
_REASONS = (None, "stop", "length", "content_filter")
"""Why a completion may have ended, as published; a call of a tool is its stop."""


class Completions:
    """One call: the prompt is the one message of a user."""

    path: ClassVar[str] = "completions"

    def __init__(self, body: Json) -> None:
        self._body = body
        self._finale: Finale | None = None
        self._answers = _Answers()
        self.dropped: list[str] = []
        self.marks = False
        self.prompt = ""

    @classmethod
    def refusal(cls, error: HeadgateError, call_id: str) -> tuple[int, Json, dict[str, str]]:
        """The error in OpenAI's envelope."""
        body = envelope(error, call_id)
        if error.param:
            body["error"]["param"] = cls.named(error.param)
        return error.http_status, body, {}

    @staticmethod
    def named(member: str) -> str:
        """What a member of the chat body is called here."""
        return "prompt" if member == "messages" else member

    def chat(self) -> Json:
        """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
        refuse(self._body, _NO_CHAT)
        if self._body.get("echo"):
            raise unserved("echo", "a chat model's answer does not hold the question.")
        best = self._body.get("best_of")
        if best is not None and best != (self._body.get("n") or 1):
            raise unserved("best_of", "the answers of a chat model cannot be ranked.")
        own = {"prompt", "echo", "best_of"}
        chat = {k: v for k, v in self._body.items() if k not in own and v is not None}
        chat["messages"] = [{"role": "user", "content": _prompt(self._body.get("prompt"))}]
        return chat

    def headers(self, ctx: Context) -> dict[str, str]:
        """None beside ours."""
        return {}

    def whole(self, ctx: Context, body: Json) -> Json:
        """The completion."""
        return self._answers.body(ctx, body)

    def settled(self, ctx: Context, said: Json) -> Json:
        """The completion with the ``headgate`` member."""
        return with_meta(ctx, said)

    def opening(self, ctx: Context, held_back: bool) -> Iterator[bytes]:
        """The stream begins with its first chunk."""
        self._finale = Finale(ctx)
        return iter(())

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The chunk, unless it says nothing that a completion has."""
        if self._finale is not None:
            for passed in self._finale.pass_on(body):
                yield from self._answers.encoded(ctx, passed)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """The finish chunk with the ``headgate`` member, the usage if asked, ``[DONE]``."""
        if self._finale is not None:
            for held in self._finale.close():
                yield from self._answers.encoded(ctx, held)
        yield DONE

    def failure(self, ctx: Context, error: HeadgateError) -> Iterator[bytes]:
        """The error; no ``[DONE]`` follows."""
        _, body, _ = self.refusal(error, ctx.call_id)
        yield encode(orjson.dumps(body))


def _prompt(prompt: Any) -> str:
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if isinstance(prompt, str) and prompt:
        return prompt
    if isinstance(prompt, list) and prompt:
        if all(isinstance(entry, str) for entry in prompt):
            raise unserved("prompt", "send one text a call.")
        raise unserved("prompt", "tokens mean something to one model alone; send a text.")
    raise InvalidRequest("`prompt` must be a text that is not empty.", param="prompt")


def _says(choice: Json) -> bool:
    return any(choice.get(m) for m in ("text", "finish_reason", "reasoning_content", "refusal"))


class _Answers:
    """The answers of one completion, whole or chunk by chunk."""

    def __init__(self) -> None:
        self._answers: dict[int, _Answer] = {}

    def body(self, ctx: Context, body: Json) -> Json:
        """The body, or the chunk, of a completion. Thoughts keep their member's own name."""
        kept = {k: v for k, v in body.items() if k not in ("id", "object", "choices")}
        shown = [self._choice(choice) for choice in choices_of(body)]
        return {"id": f"cmpl-{ctx.call_id}", "object": "text_completion", **kept, "choices": shown}

    def encoded(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The chunk as an event, unless it says nothing that a completion has."""
        said = self.body(ctx, body)
        told = said.get("usage") or said.get("headgate")
        if told or any(_says(choice) for choice in said["choices"]):
            yield encode(orjson.dumps(said))

    def _choice(self, choice: Json) -> Json:
        index = number_of(choice)
        reason = choice.get("finish_reason")
        said = self._answers.setdefault(index, _Answer()).said(part(choice))
        return {
            "text": said.pop("text", ""),
            "index": index,
            "logprobs": None,
            "finish_reason": reason if reason in _REASONS else "stop",
            **said,
        }


class _Answer:
    """One answer. A refusal was checked apart from the text, so it is not joined to it."""

    def __init__(self) -> None:
        self._speaker = Speaker()
        self._has: set[Kind] = set()

    def said(self, holder: Json) -> dict[str, str]:
        """What a message or a delta adds to each member of the choice."""
        found: dict[str, str] = {}
        # A message may hold both: its text comes first.
        for kind, text in self._speaker.said(holder):
            member = "reasoning_content" if kind == "thinking" else "text"
            if kind == "refusal" and "text" in self._has:
                member = "refusal"
            elif kind == "text" and self._has == {"refusal"}:
                text = _BORDER + text
            found[member] = found.get(member, "") + text
            if kind != "thinking":
                self._has.add(kind)
        return found
