"""A conversation as a question and the rest of it, for caches that compare meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headgate_core.types import Json
from headgate_gateway.replies.chunks import message_text
from headgate_gateway.wordings import sets_a_task_of_wording

_ORDERING = frozenset({"system", "developer", "user"})


@dataclass(frozen=True, slots=True)
class Question:
    """The text of the last message, and all that must be the same beside it."""

    text: str
    rest: list[Any]


def question_of(messages: Sequence[Json]) -> Question | None:
    """None unless the last message is a user's, holds text alone, and asks for its meaning.

    After an order such as to translate what follows, it is the wording that counts.
    """
    last = messages[-1]
    content = last.get("content")
    if last.get("role") != "user" or not _is_text(content):
        return None
    told = (m for m in messages[:-1] if m.get("role") in _ORDERING)
    if any(sets_a_task_of_wording(message_text(m)) for m in told):
        return None
    others = {name: value for name, value in last.items() if name != "content"}
    return Question(message_text(last), [*messages[:-1], others])


def _is_text(content: Any) -> bool:
    if isinstance(content, list):
        return all(isinstance(p, dict) and p.get("type") == "text" for p in content)
    return isinstance(content, str) and bool(content.strip())
