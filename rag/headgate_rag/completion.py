"""One text as an OpenAI chat completion: whole, or as the chunks of a stream."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Literal

from headgate_core.ids import uuid7
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_core.types import Json, Usage

_PIECE = re.compile(r"\s*\S+\s*?(?=\s|$)|\s+")


@dataclass(frozen=True, slots=True)
class Completion:
    """What an in-process model has to say, complete before the first byte is sent."""

    model: str
    text: str
    usage: Usage
    finish: Literal["stop", "length"] = "stop"
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid7()}")
    created: int = field(default_factory=lambda: int(time.time()))

    def reply(self, stream: bool, include_usage: bool) -> Reply:
        """The reply; ``facts`` fill up while it is drained."""
        facts = Facts(model=self.model, response_id=self.id)
        events = self._streamed(facts, include_usage) if stream else self._whole(facts)
        return Reply(stream, events, facts)

    async def _whole(self, facts: Facts) -> Events:
        message = {"role": "assistant", "content": self.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": self.finish, "logprobs": None}
        self._learn(facts, self.text)
        self._finish(facts)
        yield Chunk(self._body("chat.completion", [choice]) | {"usage": self._usage()})
        yield Done()

    async def _streamed(self, facts: Facts, include_usage: bool) -> Events:
        unknown: Json = {"usage": None} if include_usage else {}
        yield Chunk(self._delta({"role": "assistant", "content": ""}) | unknown)
        for piece in _PIECE.findall(self.text):
            self._learn(facts, piece)
            yield Chunk(self._delta({"content": piece}) | unknown)
        self._finish(facts)
        yield Chunk(self._delta({}, self.finish) | unknown)
        if include_usage:
            yield Chunk(self._body("chat.completion.chunk", []) | {"usage": self._usage()})
        yield Done()

    def _learn(self, facts: Facts, text: str) -> None:
        facts.content = facts.content or bool(text)
        facts.output_characters += len(text)

    def _finish(self, facts: Facts) -> None:
        facts.usage = self.usage
        facts.finish_reasons.append(self.finish)

    def _delta(self, delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return self._body("chat.completion.chunk", [choice])

    def _body(self, kind: str, choices: list[Json]) -> Json:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }

    def _usage(self) -> Json:
        return {
            "prompt_tokens": self.usage.input_tokens,
            "completion_tokens": self.usage.output_tokens,
            "total_tokens": self.usage.input_tokens + self.usage.output_tokens,
        }
