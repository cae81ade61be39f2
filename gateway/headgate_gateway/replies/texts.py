"""Where the texts of an OpenAI chat body are: every one that a caller or a model can write."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from headgate_core.types import Json

_Item = TypeVar("_Item")
Channel: TypeAlias = Literal["content", "reasoning", "refusal", "tool", "other"]

STRUCTURE = frozenset(
    {"role", "id", "type", "index", "object", "name", "tool_call_id", "call_id", "format"}
)
"""Members that name or number things; their values are no text."""
PAYLOADS = frozenset(
    {"data", "file_data", "b64_json", "signature", "thought_signature", "encrypted_content"}
)
"""Members that hold encoded bytes, which no check of text can read."""
_DATA_URL = re.compile(
    r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,\s?"
    r"(?:[A-Za-z0-9+/_-]{48,}[ \t]*\r?\n)*[A-Za-z0-9+/=_-]*\s*"
)
_URLS = frozenset({"url", "image_url", "file_data"})
_PLAIN: dict[str, Channel] = {
    "content": "content",
    "reasoning_content": "reasoning",
    "reasoning": "reasoning",
    "refusal": "refusal",
}


TOGETHER = 64
"""Checks in a row after which other calls go on: a reply may hold thousands of short texts."""


async def giving_way(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """The items; other calls go on between them."""
    for count, item in enumerate(items, 1):
        yield item
        if count % TOGETHER == 0:
            await asyncio.sleep(0)


@dataclass(slots=True)
class Slot:
    """One text inside a body: read and write ``text`` where it stands.

    ``key`` tells apart several texts of one channel, e.g. by the tool call's index.
    """

    choice: int
    channel: Channel
    key: str
    _holder: Any
    _member: str | int

    @property
    def text(self) -> str:
        """The text as it stands."""
        value = self._holder[self._member]
        return value if isinstance(value, str) else ""

    @text.setter
    def text(self, value: str) -> None:
        self._holder[self._member] = value


def part(choice: Json) -> Json:
    """The ``delta`` of a streamed choice or the ``message`` of a whole one."""
    found = choice.get("delta") or choice.get("message")
    return found if isinstance(found, dict) else {}


def number(choice: Json) -> int:
    """The choice's index; 0 when it has none."""
    return int(choice.get("index") or 0)


def slots(body: Json) -> Iterator[Slot]:
    """Every non-empty text of the body's choices."""
    for choice in body.get("choices") or ():
        for slot in every_slot(choice):
            if slot.text:
                yield slot


def every_slot(choice: Json) -> Iterator[Slot]:
    """The texts of one choice, those that a check has emptied included."""
    yield from _whole(choice) if "message" in choice else _streamed(choice)


def tool_number(call: Json, position: int) -> int:
    """The index of a tool call; servers that leave it out or null mean its position."""
    index = call.get("index")
    return index if isinstance(index, int) else position


def is_text(member: object, value: str) -> bool:
    """Whether a string is text: it neither names a thing nor is encoded bytes."""
    return member not in STRUCTURE and member not in PAYLOADS and not is_data_url(member, value)


def is_data_url(member: object, value: str) -> bool:
    """Whether it is a file's bytes: ``data:`` alone would let any text pass for one."""
    return member in _URLS and value.startswith("data:") and _DATA_URL.fullmatch(value) is not None


def _streamed(choice: Json) -> Iterator[Slot]:
    holder, index, whole = part(choice), number(choice), "message" in choice
    for member, channel in _PLAIN.items():
        if isinstance(holder.get(member), str):
            yield Slot(index, channel, member, holder, member)
    for position, call in enumerate(holder.get("tool_calls") or ()):
        at = position if whole else tool_number(call, position)
        yield from _members(index, "tool", f"tool {at} function", call, "function", "arguments")
        yield from _members(index, "tool", f"tool {at} custom", call, "custom", "input")
    yield from _members(index, "tool", "function_call", holder, "function_call", "arguments")
    yield from _members(index, "content", "audio", holder, "audio", "transcript")


def _members(
    choice: int, channel: Channel, key: str, holder: Json, member: str, text: str
) -> Iterator[Slot]:
    inner = holder.get(member)
    if isinstance(inner, dict) and isinstance(inner.get(text), str):
        yield Slot(choice, channel, key, inner, text)


def _whole(choice: Json) -> Iterator[Slot]:
    known = {(id(s._holder), s._member) for s in _streamed(choice)}
    yield from _streamed(choice)
    for trail, holder, member in leaves(part(choice), "message"):
        if (id(holder), member) not in known:
            yield Slot(number(choice), "other", trail, holder, member)


def leaves(value: Any, trail: str) -> Iterator[tuple[str, Any, str | int]]:
    """Every text below ``value``: its trail, what holds it, under what."""
    items: Any = ()
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for member, inner in items:
        here = f"{trail}.{member}"
        if isinstance(inner, str):
            if is_text(member, inner):
                yield here, value, member
        else:
            yield from leaves(inner, here)


async def rewritten(value: Any, trail: str, check: Callable[[str, str], Awaitable[str]]) -> Any:
    """A copy of ``value`` in which every text has gone through ``check(text, trail)``."""
    if isinstance(value, str):
        return await check(value, trail) if value else value
    if isinstance(value, list):
        return [await rewritten(v, f"{trail}[{n}]", check) for n, v in enumerate(value)]
    if isinstance(value, dict):
        return {
            k: v
            if isinstance(v, str) and not is_text(k, v)
            else await rewritten(v, f"{trail}.{k}", check)
            for k, v in value.items()
        }
    return value
