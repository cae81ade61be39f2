"""Text that comes as a list of parts or as an object, as the plain text that it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import orjson

from headgate_core.types import Json
from headgate_gateway.replies.texts import part

Member: TypeAlias = Literal["content", "reasoning_content", "refusal"]
_WRITTEN = (("function", "arguments"), ("custom", "input"))


def flatten(body: Json) -> list[str]:
    """Make one string of every text of the body's choices; returns what had to be left out.

    A text in pieces cannot be checked piece by piece: what a client joins must be one text here.
    """
    left_out: list[str] = []
    for choice in body.get("choices") or ():
        holder = part(choice)
        if isinstance(holder.get("content"), list):
            left_out += _join(holder, holder["content"])
        for call in holder.get("tool_calls") or ():
            for kind, member in _WRITTEN:
                _as_text(call.get(kind), member)
        _as_text(holder.get("function_call"), "arguments")
    return left_out


def pieces(content: Any) -> Iterator[tuple[Member | None, str]]:
    """Texts of a list of parts, each with the member that it belongs to; None: it is no text."""
    for one in content:
        if isinstance(one, str):
            yield "content", one
        elif not isinstance(one, dict):
            yield None, ""
        elif isinstance(one.get("thinking"), list):
            yield from (
                ("reasoning_content" if at else None, t) for at, t in pieces(one["thinking"])
            )
        else:
            yield _piece(one)


def _piece(one: Json) -> tuple[Member | None, str]:
    members: tuple[tuple[str, Member], ...] = (
        ("text", "content"),
        ("thinking", "reasoning_content"),
        ("refusal", "refusal"),
    )
    for name, member in members:
        if isinstance(one.get(name), str):
            return member, one[name]
    return None, ""


def _join(holder: Json, content: list[Any]) -> list[str]:
    left_out: list[str] = []
    holder["content"] = ""
    for member, text in pieces(content):
        if member is None:
            left_out.append("content part")
        else:
            known = holder.get(member)
            holder[member] = (known if isinstance(known, str) else "") + text
    return left_out


def _as_text(holder: Any, member: str) -> None:
    if isinstance(holder, dict) and isinstance(holder.get(member), dict | list):
        holder[member] = orjson.dumps(holder[member]).decode()
