"""The chunks of a stream that the gateway writes itself, in the shape that OpenAI's have."""

from __future__ import annotations

from collections.abc import Iterator

from headgate_core.types import Json
from headgate_gateway.replies.chunks import chunk_like, wants_usage
from headgate_gateway.replies.texts import number


class ChunkShape:
    """A choice begins with its role and an empty text, and says no text with it; where the caller
    asked for usage, every chunk but the one with it says ``usage: null``.

    Source: the OpenAI API reference, "The chat completion chunk object".
    """

    def __init__(self, request: Json) -> None:
        self._usage = wants_usage(request)
        self._begun: set[int] = set()

    def shaped(self, body: Json) -> Iterator[Json]:
        """What goes out for this chunk, in order."""
        choices = []
        for choice in body.get("choices") or ():
            place, delta = number(choice), choice.get("delta") or {}
            if place not in self._begun and delta.get("content"):
                yield self._asked(chunk_like(body, place, {"role": "assistant", "content": ""}))
                rest = {name: value for name, value in delta.items() if name != "role"}
                choice = {**choice, "delta": rest}
            self._begun.add(place)
            choices.append(choice)
        yield self._asked({**body, "choices": choices} if choices else body)

    def _asked(self, body: Json) -> Json:
        return {**body, "usage": None} if self._usage and "usage" not in body else body
