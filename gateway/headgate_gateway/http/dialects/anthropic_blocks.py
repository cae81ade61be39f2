"""Anthropic's content blocks as chat messages and their parts."""

from __future__ import annotations

from typing import Any

import orjson

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.http.dialects.anthropic_marks import MARK, SIGNED, mark_of
from headgate_gateway.http.dialects.members import (
    object_of,
    objects,
    only,
    plain,
    text_of,
    unserved,
)

_HINTS = ("citations", "caller", "is_error")
"""Members of blocks without which the model is asked the same."""

_MEMBERS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source", "title"),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id", "content"),
    "thinking": ("thinking", "signature"),
}
_OF_ROLE = {
    "user": ("text", "image", "document", "tool_result"),
    "assistant": ("text", "tool_use", "thinking"),
    "system": ("text",),
}


def parts_of(content: Any, where: str, dropped: list[str]) -> list[Json]:
    """Text, image and document blocks as parts of a chat message. Raises ``InvalidRequest``."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [
        _part(block, f"{where}[{number}]", dropped)
        for number, block in enumerate(objects(content, where))
    ]


class Turns:
    """Collects chat messages from Anthropic's turns."""

    def __init__(self, dropped: list[str]) -> None:
        self.messages: list[Json] = []
        self._dropped = dropped

    def add(self, message: Json, where: str) -> None:
        """One turn; results of tools become messages of their own. Raises ``InvalidRequest``."""
        role = str(message.get("role"))
        if role not in _OF_ROLE:
            known = ", ".join(_OF_ROLE)
            raise InvalidRequest(f"`{where}.role` must be one of {known}.", param=f"{where}.role")
        only(message, ("role", "content"), (), where, self._dropped)
        content = message.get("content")
        where = f"{where}.content"
        if isinstance(content, str):
            self.messages.append({"role": role, "content": content})
            return
        if content is None:
            raise InvalidRequest(f"`{where}` is missing.", param=where)
        blocks = objects(content, where)
        if not blocks and role != "assistant":
            raise InvalidRequest(f"`{where}` must have at least one block.", param=where)
        for number, block in enumerate(blocks):
            if block.get("type") not in _OF_ROLE[role]:
                known = ", ".join(_OF_ROLE[role])
                raise unserved(f"{where}[{number}].type", f"of the {role}, {known} are.")
        if role == "assistant":
            self._assistant(blocks, where)
        else:
            self._others(role, blocks, where)

    def _assistant(self, blocks: list[Json], where: str) -> None:
        parts: list[Json] = []
        calls: list[Json] = []
        thoughts: list[Json] = []
        for number, block in enumerate(blocks):
            at = f"{where}[{number}]"
            if block["type"] == "text":
                parts.append(_part(block, at, self._dropped))
                continue
            _known(block, at, self._dropped)
            if block["type"] == "thinking":
                text_of(block, "thinking", at)
                thoughts.append(block)
            else:
                calls.append(_call(block, at))
        message: Json = {"role": "assistant", "content": plain(parts) if parts else ""}
        if calls:
            message["content"] = message["content"] or None
            message["tool_calls"] = calls
        self.messages.append(message | self._thoughts(thoughts))

    def _thoughts(self, blocks: list[Json]) -> Json:
        """As one text, and the signed ones as they are beside it."""
        if any(map(mark_of, blocks)) and MARK not in self._dropped:
            self._dropped.append(MARK)
        names = ("type", "thinking", "signature")
        signed = [{name: b[name] for name in names} for b in blocks if b.get("signature")]
        said: Json = {"reasoning_content": "\n".join(b["thinking"] for b in blocks)}
        if signed:
            said[SIGNED] = signed
        return said if blocks else {}

    def _others(self, role: str, blocks: list[Json], where: str) -> None:
        """Results of tools first, as chat has it; their images come with the user's own parts."""
        parts: list[Json] = []
        for number, block in enumerate(blocks):
            at = f"{where}[{number}]"
            if block["type"] == "tool_result":
                parts += self._result(block, at)
            else:
                parts.append(_part(block, at, self._dropped))
        if parts:
            self.messages.append({"role": role, "content": plain(parts)})

    def _result(self, block: Json, where: str) -> list[Json]:
        """The result as a ``tool`` message; returns what such a message cannot hold."""
        _known(block, where, self._dropped)
        parts = parts_of(block.get("content") or "", f"{where}.content", self._dropped)
        texts = [p for p in parts if p["type"] == "text"] or [{"type": "text", "text": ""}]
        self.messages.append(
            {
                "role": "tool",
                "tool_call_id": text_of(block, "tool_use_id", where),
                "content": plain(texts),
                **mark_of(block),
            }
        )
        return [p for p in parts if p["type"] != "text"]


def _known(block: Json, where: str, dropped: list[str]) -> None:
    # An empty or false hint asks for nothing.
    said = {k: v for k, v in block.items() if v not in ("", False, [])}
    only(said, ("type", MARK, *_MEMBERS[block["type"]]), _HINTS, where, dropped)


def _part(block: Json, where: str, dropped: list[str]) -> Json:
    kind = block.get("type")
    if kind not in ("text", "image", "document"):
        raise unserved(f"{where}.type", "text, image and document are.")
    _known(block, where, dropped)
    if kind == "text":
        return {"type": "text", "text": text_of(block, "text", where), **mark_of(block)}
    source = object_of(block.get("source"), f"{where}.source")
    at = f"{where}.source"
    part = _image(source, at) if kind == "image" else _document(block, source, at)
    return {**part, **mark_of(block)}


def _image(source: Json, at: str) -> Json:
    if source.get("type") == "url":
        return {"type": "image_url", "image_url": {"url": text_of(source, "url", at)}}
    if source.get("type") == "base64":
        return {"type": "image_url", "image_url": {"url": _data_url(source, at)}}
    raise unserved(f"{at}.type", "base64 and url are.")


def _document(block: Json, source: Json, at: str) -> Json:
    if source.get("type") == "text":
        text = text_of(source, "data", at)
        title = block.get("title")
        return {"type": "text", "text": f"{title}\n\n{text}" if title else text}
    if source.get("type") == "base64":
        data = _data_url(source, at)
        name = block.get("title") or "document.pdf"
        return {"type": "file", "file": {"filename": name, "file_data": data}}
    raise unserved(f"{at}.type", "text and base64 are.")


def _data_url(source: Json, where: str) -> str:
    return f"data:{text_of(source, 'media_type', where)};base64,{text_of(source, 'data', where)}"


def _call(block: Json, where: str) -> Json:
    arguments = orjson.dumps(object_of(block.get("input"), f"{where}.input")).decode()
    function = {"name": text_of(block, "name", where), "arguments": arguments}
    own = {"id": text_of(block, "id", where), "type": "function", "function": function}
    return {**own, **mark_of(block)}
