"""What tests ask over Anthropic's wire, and how its streams are read."""

from __future__ import annotations

from typing import Any

import anthropic
from dialect_world import (
    call,
)
from pydantic import BaseModel

HELLO: list[Any] = [{"role": "user", "content": "Say hello."}]
TOOLS: list[Any] = [
    {
        "name": "weather",
        "description": "The weather of a place.",
        "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
    }
]
TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]


class Greeting(BaseModel):
    """What structured output is parsed into."""

    word: str


def streamed(
    client: anthropic.Anthropic, model: str, messages: list[Any] = HELLO, **more: Any
) -> tuple[list[str], Any]:
    """The types of the stream's events, and the message that the client makes of them."""
    with client.messages.stream(model=model, max_tokens=100, messages=messages, **more) as stream:
        types: list[str] = [event.type for event in stream]
        return types, stream.get_final_message()
