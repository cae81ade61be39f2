"""A provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Event, Facts, Reply
from headgate_core.types import Json, Usage


@dataclass
class Shout:
    """Answers in capitals. Option: ``mark`` is put at the end."""

    free: ClassVar[bool] = True
    mark: str = "!"

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """The last message in capitals; whole answers only, for brevity."""
        text = str(request.body["messages"][-1]["content"]).upper() + self.mark
        message = {"role": "assistant", "content": text}
        body: Json = {
            "id": "shout-1",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        }
        facts = Facts(Usage(1, 1), model, "shout-1", ["stop"], True, len(text))
        return Reply(False, _events(body), facts)


async def _events(body: Json) -> AsyncIterator[Event]:
    yield Chunk(body)
    yield Done()
