"""What a call asks: the retrieval query, and the last turn where that is more to the point."""

from __future__ import annotations

from typing import Any

from headgate_core.ports import ModelRequest
from headgate_core.types import Json


def questions(request: ModelRequest) -> list[str]:
    """The question in up to two wordings, without repetition; empty when nothing was asked.

    First the query that the passages were fetched with. It may join all turns of a conversation,
    so the caller's last message follows where it differs.
    """
    context = request.context
    query = context.query.strip() if context else ""
    last = last_user_message(context.request if context else request.body)
    return list(dict.fromkeys(text for text in (query, last) if text))


def last_user_message(body: Json) -> str:
    """The text of the last user message of a chat body; empty when there is none."""
    messages = body.get("messages")
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content")).strip()
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""
