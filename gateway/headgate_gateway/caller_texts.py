"""Every string of a chat request that a model or a tool could read, by what may become of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from headgate_gateway.replies.texts import PAYLOADS, is_data_url

EXACT = frozenset(
    {"stop", "bad_words", "grammar", "structured_outputs", "guided_regex", "guided_grammar"}
    | {"guided_choice", "guided_json"}
)
"""Members of a request whose strings are matched letter by letter: masked they mean another."""
_OF_NAMES = frozenset(
    {"tools", "functions", "function", "custom", "function_call", "tool_choice", "json_schema"}
    | {"tool"}
)
"""What a ``name`` directly below is the name of: a function, a tool, a schema."""
_IDS = frozenset({"id", "tool_call_id", "call_id"})
_COMMON = frozenset(
    {"role", "type", "index", "name", "id", "format", "object", "title", "user", "developer"}
    | {"system", "assistant", "tool", "tools", "function", "functions", "custom", "tool_calls"}
    | {"content", "text", "image_url", "url", "detail", "input_audio", "data", "wav", "mp3", "file"}
    | {"tool_call_id", "arguments", "reasoning_content", "refusal", "cache_control", "ephemeral"}
    | {"description", "parameters", "properties", "required", "items", "enum", "default", "strict"}
    | {"additionalProperties", "anyOf", "string", "number", "integer", "boolean", "array", "null"}
    | {"json_schema", "json_object", "schema", "minimum", "maximum", "include_usage", "effort"}
    | {"auto", "none", "low", "medium", "high", "minimal"}
)
"""Names and values of the wire itself, which say nothing of a caller."""
_WORD = re.compile(r"[a-z_]{1,40}")
"""Names of members that cannot be what a check finds: a verdict names them."""
_BYTES = re.compile(r"[A-Za-z0-9+/_-]{128,}={0,2}")


class Place(NamedTuple):
    """A string under ``member`` of ``holder``; a member's own name where ``member`` is None."""

    holder: Any
    member: Any
    text: str
    subject: str


class Run(NamedTuple):
    """Parts ``start`` to ``end`` of a list of content: texts that nothing lies between."""

    content: list[Any]
    start: int
    end: int
    subject: str


@dataclass(slots=True)
class CallerTexts:
    """The strings below one part of a request, a copy of it: they are replaced in place."""

    texts: list[Place] = field(default_factory=list)
    """Texts, which may be masked."""
    fixed: list[Place] = field(default_factory=list)
    """Names and the like, of which a masked one would mean something else."""
    ids: list[Place] = field(default_factory=list)
    """Ids of a conversation, of which any will do as long as it stays the same."""
    runs: list[Run] = field(default_factory=list)

    def message(self, message: Any, subject: str) -> None:
        """Sort a message of the conversation."""
        role = message.get("role")
        self._below(message, "tool" if role == "function" else str(role), subject, _IDS)

    def member(self, request: Any, name: str) -> None:
        """Sort a member of the request beside its messages."""
        subject = name if _WORD.fullmatch(name) else "a member of the request"
        if subject != name:
            self.fixed.append(Place(request, None, name, subject))
        self._one(request, name, "", subject, _EVERYTHING if name in EXACT else frozenset())

    def input(self, inputs: Any, name: str) -> None:
        """Sort an input of the route's prompt."""
        self._one(inputs, name, "", f"input {name}", frozenset())

    def _below(self, holder: Any, parent: str, subject: str, special: frozenset[str]) -> None:
        if isinstance(holder, dict):
            for key in list(holder):
                if key not in _COMMON:
                    self.fixed.append(Place(holder, None, key, subject))
                self._one(holder, key, parent, subject, special)
        elif isinstance(holder, list):
            for n in range(len(holder)):
                self._one(holder, n, parent, subject, special)

    def _one(
        self, holder: Any, key: Any, parent: str, subject: str, special: frozenset[str]
    ) -> None:
        value = holder[key]
        if isinstance(value, str):
            if value and value not in _COMMON and not _encoded(key, value):
                self._kind(key, parent, special).append(Place(holder, key, value, subject))
            return
        if key == "content" and isinstance(value, list):
            self.runs += _runs(value, subject)
        self._below(value, key if isinstance(key, str) else parent, subject, special)

    def _kind(self, key: Any, parent: str, special: frozenset[str]) -> list[Place]:
        if special is _EVERYTHING or key == "role" or (key == "name" and parent in _OF_NAMES):
            return self.fixed
        return self.ids if key in special else self.texts


_EVERYTHING = frozenset({"*"})


def copied(value: Any) -> Any:
    """A copy whose lists and objects may be changed."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def text_of(piece: Any) -> str | None:
    """What a part of a list of content says, None for a part that is no text."""
    said = piece.get("text") if isinstance(piece, dict) else piece
    return said if isinstance(said, str) else None


def _runs(content: list[Any], subject: str) -> list[Run]:
    found: list[Run] = []
    start = 0
    for end in range(len(content) + 1):
        if end == len(content) or text_of(content[end]) is None:
            if end - start > 1:
                found.append(Run(content, start, end, subject))
            start = end + 1
    return found


def _encoded(key: Any, value: str) -> bool:
    """Whether it is a file's bytes or the like, which no check of text can read."""
    return is_data_url(key, value) or (key in PAYLOADS and _BYTES.fullmatch(value) is not None)
