"""The input items of a Responses request as chat messages and their parts."""

from __future__ import annotations

from typing import Any

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json
from headgate_gateway.http.dialects.members import (
    object_of,
    objects,
    only,
    plain,
    text_of,
    unserved,
)

_ROLES = ("user", "assistant", "system", "developer")
_MEMBERS: dict[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "reasoning": ("summary", "content"),
}
_OWN = ("type", "id", "status", "parsed_arguments")
"""Members of every item that say nothing to a model; the last is what a client made of others."""
_HINTS = ("encrypted_content", "phase", "prompt_cache_breakpoint", "logprobs", "annotations")
_TEXTS = ("input_text", "output_text", "text")


class Items:
    """Collects chat messages from items. Calls of one turn go into one message, as chat has it."""

    def __init__(self, dropped: list[str]) -> None:
        self._dropped = dropped
        self._messages: list[Json] = []
        self._pictures: list[Json] = []
        self._thoughts: list[str] = []

    def add(self, item: Json, where: str) -> None:
        """One item. Raises ``InvalidRequest``."""
        kind = str(item.get("type") or "message")
        if kind not in _MEMBERS:
            raise unserved(f"{where}.type", f"{', '.join(_MEMBERS)} are.")
        said = {k: v for k, v in item.items() if v not in ("", []) or k in _MEMBERS[kind]}
        only(said, (*_OWN, *_MEMBERS[kind]), _HINTS, where, self._dropped)
        if kind != "function_call_output":
            self._show_pictures()
        if kind == "message":
            self._message(item, where)
        elif kind == "reasoning":
            self._reasoning(item, where)
        elif kind == "function_call":
            self._call(item, where)
        else:
            self._output(item, where)

    def close(self) -> list[Json]:
        """All messages."""
        self._show_pictures()
        return self._messages

    def _message(self, item: Json, where: str) -> None:
        role = item.get("role")
        if role not in _ROLES:
            known = ", ".join(_ROLES)
            raise InvalidRequest(f"`{where}.role` must be one of {known}.", param=f"{where}.role")
        content = item.get("content")
        if content is None:
            raise InvalidRequest(f"`{where}.content` is missing.", param=f"{where}.content")
        if not isinstance(content, str):
            content = plain(self._parts(content, f"{where}.content"))
        message: Json = {"role": role, "content": content}
        if role == "assistant":
            self._think(message)
        self._messages.append(message)

    def _reasoning(self, item: Json, where: str) -> None:
        """Thoughts that the upstream told in clear go back to it; a summary of them does not."""
        content = objects(item.get("content"), f"{where}.content")
        self._thoughts += [
            text_of(x, "text", f"{where}.content[{n}]") for n, x in enumerate(content)
        ]
        if item.get("summary") and "reasoning.summary" not in self._dropped:
            self._dropped.append("reasoning.summary")

    def _think(self, message: Json) -> None:
        if self._thoughts:
            message["reasoning_content"] = "\n".join(self._thoughts)
            self._thoughts = []

    def _call(self, item: Json, where: str) -> None:
        last = self._messages[-1] if self._messages else {}
        if last.get("role") != "assistant" or self._thoughts:
            last = {"role": "assistant", "content": None}
            self._think(last)
            self._messages.append(last)
        function = {n: text_of(item, n, where) for n in ("name", "arguments")}
        call = {"id": text_of(item, "call_id", where), "type": "function", "function": function}
        last.setdefault("tool_calls", []).append(call)

    def _output(self, item: Json, where: str) -> None:
        """A result as a ``tool`` message; pictures in it come with a user's message after it."""
        output = item.get("output")
        if not isinstance(output, str):
            parts = self._parts(output, f"{where}.output")
            self._pictures += [p for p in parts if p["type"] != "text"]
            output = plain([p for p in parts if p["type"] == "text"]) or ""
        call_id = text_of(item, "call_id", where)
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": output})

    def _show_pictures(self) -> None:
        if self._pictures:
            self._messages.append({"role": "user", "content": self._pictures})
            self._pictures = []

    def _parts(self, content: Any, where: str) -> list[Json]:
        return [
            self._part(part, f"{where}[{number}]")
            for number, part in enumerate(objects(content, where))
        ]

    def _part(self, part: Json, where: str) -> Json:
        kind = part.get("type")
        said = {k: v for k, v in part.items() if v not in ("", [])}
        if kind in _TEXTS:
            only(said, ("type", "text", "parsed"), _HINTS, where, self._dropped)
            return {"type": "text", "text": text_of(part, "text", where)}
        if kind == "refusal":
            return {"type": "refusal", "refusal": text_of(part, "refusal", where)}
        if kind == "input_image":
            only(said, ("type", "image_url", "detail"), _HINTS, where, self._dropped)
            image = {"url": text_of(part, "image_url", where)}
            if part.get("detail") is not None:
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        if kind == "input_file":
            only(said, ("type", "file_data", "filename", "file_id"), _HINTS, where, self._dropped)
            return {"type": "file", "file": {k: v for k, v in said.items() if k != "type"}}
        if kind == "input_audio":
            audio = object_of(part.get("input_audio"), f"{where}.input_audio")
            return {"type": "input_audio", "input_audio": audio}
        raise unserved(f"{where}.type", "text, images, files and audio are.")
