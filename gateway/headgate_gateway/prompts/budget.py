"""What a prompt's ``tokens`` leave of history and passages; every cut is told."""

from __future__ import annotations

import json
from collections.abc import Sequence

from headgate_core.types import Json, Passage
from headgate_gateway.prompts.sources import Sources

IMAGE_TOKENS = 256
"""What a part that is not text is taken to cost."""


def tokens(text: str) -> int:
    """About how many tokens a text has: a quarter of its bytes in UTF-8, rounded up."""
    return -(-len(text.encode()) // 4)


def message_tokens(message: Json) -> int:
    """About how many tokens a message has, tool calls included."""
    content = message.get("content")
    total = 0
    if isinstance(content, str):
        total += tokens(content)
    elif isinstance(content, list):
        total += sum(_part_tokens(part) for part in content)
    if message.get("tool_calls"):
        total += tokens(json.dumps(message["tool_calls"], ensure_ascii=False))
    return total


def fit_history(messages: Sequence[Json], limit: int | None) -> tuple[list[Json], str]:
    """The newest whole turns within ``limit`` tokens, and a sentence about what was cut, if any.

    A turn begins with a user message, so that tool calls and their results stay together.
    """
    kept = list(messages)
    if limit is None:
        return kept, ""
    sizes = [message_tokens(message) for message in kept]
    start = 0
    while start < len(kept) and sum(sizes[start:]) > limit:
        start = _next_turn(kept, start)
    return kept[start:], _told("oldest messages of the history", start, len(kept), limit)


def fit_passages(passages: Sequence[Passage], limit: int | None) -> tuple[list[Passage], str]:
    """The first passages within ``limit`` tokens, and a sentence about what was cut, if any."""
    kept = list(passages)
    if limit is None:
        return kept, ""
    while kept and sum(tokens(str(source)) for source in Sources(kept)) > limit:
        kept.pop()
    cut = len(passages) - len(kept)
    return kept, _told("last passages", cut, len(passages), limit)


def _part_tokens(part: object) -> int:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return tokens(part["text"])
    return IMAGE_TOKENS


def _next_turn(messages: Sequence[Json], start: int) -> int:
    for index in range(start + 1, len(messages)):
        if messages[index].get("role") == "user":
            return index
    return len(messages)


def _told(what: str, cut: int, of: int, limit: int) -> str:
    return f"cut {cut} of {of}: the {what}, over the prompt's {limit} tokens" if cut else ""
