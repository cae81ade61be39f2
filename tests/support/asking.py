"""Messages in the form that the official client is typed for."""

from __future__ import annotations

from openai.types.chat import ChatCompletionMessageParam


def user(text: str) -> list[ChatCompletionMessageParam]:
    """One user message."""
    return [{"role": "user", "content": text}]
