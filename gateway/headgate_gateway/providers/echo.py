"""A model for tests and first steps: it says back what it was told."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.honoured import ONE_TEXT, unsupported
from headgate_core.ids import uuid7
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Event, Facts, Reply
from headgate_core.types import Json, Usage
from headgate_gateway.replies.chunks import as_chunks, message_text, wants_usage


@dataclass(slots=True)
class Echo:
    """Answers with the last message's text, word by word. In process, free of charge.

    Tokens are counted as words. Options: ``prefix`` is put before the echoed text.
    """

    free: ClassVar[bool] = True
    prefix: str = ""

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """The last message's text, as a whole or as a stream of one chunk a word."""
        messages: list[Json] = request.body["messages"]
        said = self.prefix + (message_text(messages[-1]) if messages else "")
        text, finish = _bounded(said, request.body)
        words = sum(len(message_text(m).split()) for m in messages)
        usage = Usage(input_tokens=words, output_tokens=len(text.split()))
        body = _completion(model, text, usage, finish)
        facts = Facts(usage, model, body["id"], [finish], bool(text), len(text))
        include_usage = wants_usage(request.body)
        return Reply(request.stream, _events(body, text, request.stream, include_usage), facts)

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """Whatever would change what is said back."""
        return unsupported(request.body, ONE_TEXT)


def _bounded(text: str, body: Json) -> tuple[str, str]:
    """The text within the request's limit of words, and the finish reason."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    words = list(re.finditer(r"\S+", text))
    if not isinstance(limit, int) or len(words) <= limit:
        return text, "stop"
    return text[: words[limit - 1].end()], "length"


def _completion(model: str, text: str, usage: Usage, finish: str) -> Json:
    return {
        "id": f"chatcmpl-{uuid7()}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }


async def _events(body: Json, text: str, stream: bool, include_usage: bool) -> AsyncIterator[Event]:
    if not stream:
        yield Chunk(body)
        yield Done()
        return
    for chunk in as_chunks(body, include_usage):
        choices = chunk["choices"]
        if choices and choices[0]["delta"].get("content"):
            for word in re.findall(r"\S+\s*|\s+", text):
                yield Chunk({**chunk, "choices": [{**choices[0], "delta": {"content": word}}]})
        else:
            yield Chunk(chunk)
    yield Done()
