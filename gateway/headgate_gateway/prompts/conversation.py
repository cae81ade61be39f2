"""The caller's messages, taken apart around the last user message, and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from headgate_core.types import Json

_SYSTEM = ("system", "developer")


class Conversation(NamedTuple):
    """``last`` is the last user message, None when there is none; ``after`` what followed it."""

    system: list[Json]
    earlier: list[Json]
    last: Json | None
    after: list[Json]

    @property
    def question(self) -> str | None:
        """The text of the last user message; None when it has none."""
        if self.last is None:
            return None
        return text_of(self.last.get("content")).strip() or None


def take_apart(messages: Sequence[Json]) -> Conversation:
    """Sort a conversation into what a prompt handles differently."""
    system = [message for message in messages if message.get("role") in _SYSTEM]
    turns = [message for message in messages if message.get("role") not in _SYSTEM]
    for index in range(len(turns) - 1, -1, -1):
        if turns[index].get("role") == "user":
            return Conversation(system, turns[:index], turns[index], turns[index + 1 :])
    return Conversation(system, turns, None, [])


def text_of(content: Any) -> str:
    """The text of a message's content: itself, or its text parts, a line each."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if _is_text(part))


def with_text(message: Json | None, text: str) -> Json:
    """The user message with ``text`` in place of its own; images and files stay where they are."""
    if message is None:
        return {"role": "user", "content": text}
    content = message.get("content")
    if not isinstance(content, list):
        return {**message, "content": text}
    others = [part for part in content if not _is_text(part)]
    first = next((i for i, part in enumerate(content) if _is_text(part)), 0)
    return {
        **message,
        "content": [*others[:first], {"type": "text", "text": text}, *others[first:]],
    }


def _is_text(part: Any) -> bool:
    return (
        isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
    )
