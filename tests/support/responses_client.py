"""What tests ask over the Responses wire, and how its streams are read."""

from __future__ import annotations

from typing import Any

import openai
from dialect_world import (
    call,
)
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

TOOL: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a place.",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    "strict": False,
}
TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]


class Greeting(BaseModel):
    """What structured output is parsed into."""

    word: str


def events_of(client: openai.OpenAI, model: str, **more: Any) -> list[Any]:
    """The events of a stream; their numbers rise by one."""
    events: list[Any] = list(
        client.responses.create(model=model, input="Say hello.", stream=True, **more)
    )
    assert [e.sequence_number for e in events] == list(range(len(events)))
    return events
