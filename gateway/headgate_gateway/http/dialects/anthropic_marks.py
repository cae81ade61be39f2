"""What only Claude takes in chat: marks of cached prefixes, and thoughts with their signature."""

from __future__ import annotations

from typing import Any

from headgate_core.types import Json

MARK = "cache_control"
SIGNED = "thinking_blocks"
"""Member of an assistant's message with the thoughts that Claude wants back as it signed them."""


def mark_of(block: Json) -> Json:
    """The block's mark, for the part of the chat body that stands for the block."""
    return {MARK: block[MARK]} if block.get(MARK) is not None else {}


def unmarked(chat: Json) -> list[str]:
    """Take all of it out of a chat body in place; what there was, by Anthropic's names."""
    found = [chat.pop(MARK, None)]
    signed = False
    for holder in (*chat.get("messages", ()), *chat.get("tools", ())):
        found.append(holder.pop(MARK, None))
        signed = holder.pop(SIGNED, None) is not None or signed
        found += [call.pop(MARK, None) for call in holder.get("tool_calls") or ()]
        if isinstance(holder.get("content"), list):
            found += [part.pop(MARK, None) for part in holder["content"]]
            holder["content"] = _plain(holder["content"])
    marked = [MARK] if any(mark is not None for mark in found) else []
    return [*marked, "signature"] if signed else marked


def _plain(parts: list[Json]) -> Any:
    one = parts[0] if len(parts) == 1 else {}
    return one["text"] if one.keys() == {"type", "text"} else parts
