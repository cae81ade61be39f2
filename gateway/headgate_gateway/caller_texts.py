"""Every string of a chat request that a model or a tool could read, by what may become of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from headgate_gateway.replies.texts import PAYLOADS, is_data_url

EXACT = frozenset(
    {"stop", "bad_words", "grammar", "structured_outputs", "guided_regex", "guided_grammar"}
    | {"guided_choice", "guided_json"}
)
"""Members of a request whose strings mean themselves, letter by letter; see also ``_RULES``."""
_OF_NAMES = frozenset(
    {"tools", "functions", "function", "custom", "function_call", "tool_choice", "json_schema"}
    | {"tool"}
)
"""What a ``name`` directly below is the name of: a function, a tool, a schema."""
_IDS = frozenset({"id", "tool_call_id", "call_id"})
Kind: TypeAlias = Literal["message", "text", "exact", "offer", "schema", "named", "rule"]
"""What a tree is: a message, texts, strings that mean themselves, tools and formats, a JSON schema,
schemas by the names of members, or what a schema allows, letter by letter."""
_SCHEMAS: dict[Kind, frozenset[str]] = {
    "offer": frozenset({"parameters", "schema", "input_schema"}),
    "exact": frozenset({"json"}),
}
"""Members of such a tree that are JSON schemas."""
_OFFERS = frozenset({"tools", "functions", "response_format"})
_RULES = frozenset(
    {"type", "enum", "const", "pattern", "format", "required", "dependentRequired"}
    | {"contentEncoding", "contentMediaType", "discriminator", "propertyOrdering"}
    | {"id", "$id", "$ref", "$schema", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary"}
)
"""Members of a schema that say what is allowed, letter by letter."""
_WITHIN = frozenset(
    {"items", "prefixItems", "additionalItems", "unevaluatedItems", "contains", "propertyNames"}
    | {"additionalProperties", "unevaluatedProperties", "dependencies", "contentSchema"}
    | {"anyOf", "oneOf", "allOf", "not", "if", "then", "else"}
)
"""Members of a schema that hold schemas; what is none of all these is for whoever reads it."""
_BY_NAME = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"}
)
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
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}")
"""One line, in the usual alphabet or in that of URLs, but not in both."""
_FULL_LINE = re.compile(r"[A-Za-z0-9+/]{48,}")
LEAST_BYTES = 256
"""Characters of base64 in a member that may hold text as well: keys are shorter."""


class Place(NamedTuple):
    """A string under ``member`` of ``holder``; a member's own name where ``member`` is None."""

    holder: Any
    member: Any
    text: str
    subject: str


class Parts(NamedTuple):
    """A list of content, whose neighbouring texts a model may get as one."""

    content: list[Any]
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
    lists: list[Parts] = field(default_factory=list)

    def message(self, message: Any, subject: str) -> None:
        """Sort a message of the conversation."""
        role = message.get("role")
        self._below(message, "tool" if role == "function" else str(role), subject, "message")

    def member(self, request: Any, name: str) -> None:
        """Sort a member of the request beside its messages."""
        subject = name if _WORD.fullmatch(name) else "a member of the request"
        if subject != name:
            self.fixed.append(Place(request, None, name, subject))
        self._one(request, name, "", subject, _kind(name, request[name]))

    def input(self, inputs: Any, name: str) -> None:
        """Sort an input of the route's prompt."""
        self._one(inputs, name, "", f"input {name}", "text")

    def _below(self, holder: Any, parent: str, subject: str, kind: Kind) -> None:
        if isinstance(holder, dict):
            for key in list(holder):
                if key not in _COMMON:
                    self.fixed.append(Place(holder, None, key, subject))
                self._one(holder, key, parent, subject, _inner(kind, key, holder[key]))
        elif isinstance(holder, list):
            for n in range(len(holder)):
                self._one(holder, n, parent, subject, kind)

    def _one(self, holder: Any, key: Any, parent: str, subject: str, kind: Kind) -> None:
        value = holder[key]
        if isinstance(value, str):
            if value and value not in _COMMON:
                self._string(Place(holder, key, value, subject), self._list(key, parent, kind))
            return
        if key == "content" and isinstance(value, list) and len(value) > 1:
            self.lists.append(Parts(value, subject))
        self._below(value, key if isinstance(key, str) else parent, subject, kind)

    def _string(self, place: Place, usual: list[Place]) -> None:
        end = _end_of_bytes(place.member, place.text)
        if end is None:
            usual.append(place)
        elif end:
            self.fixed.append(place._replace(text=end))

    def _list(self, key: Any, parent: str, kind: Kind) -> list[Place]:
        if kind in ("exact", "schema", "named", "rule"):
            return self.fixed
        if key == "role" or (key == "name" and parent in _OF_NAMES):
            return self.fixed
        return self.ids if kind == "message" and key in _IDS else self.texts


def _kind(name: str, value: Any) -> Kind:
    """What a member of a request beside its messages is."""
    if name == "guided_json" and isinstance(value, dict):
        return "schema"
    if name in EXACT:
        return "exact"
    return "offer" if name in _OFFERS else "text"


def _inner(kind: Kind, key: Any, value: Any) -> Kind:
    """What a member of a tree of this kind is."""
    if kind == "named":
        return "schema"
    if kind != "schema":
        return "schema" if isinstance(value, dict) and key in _SCHEMAS.get(kind, ()) else kind
    if key in _RULES:
        return "rule"
    if key in _BY_NAME and isinstance(value, dict):
        return "named"
    return "schema" if key in _WITHIN else "text"


def copied(value: Any) -> Any:
    """A copy whose lists and objects may be changed."""
    if isinstance(value, dict):
        return {key: copied(inner) for key, inner in value.items()}
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def at_least(value: Any, count: int) -> bool:
    """Whether there are so many members and items below ``value``."""
    waiting = [value]
    for inner in waiting:
        if isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list | tuple):
            waiting += inner
        if len(waiting) > count:
            return True
    return False


def _end_of_bytes(key: Any, value: str) -> str | None:
    """The last line where it is a file's bytes or the like, which no check of text can read.

    That line may be short, and so something else. None where it is no bytes, as far as one sees.
    """
    if is_data_url(key, value):
        value = value.partition(",")[2]
    elif key not in PAYLOADS or len(value) < LEAST_BYTES:
        return None
    *lines, last = value.strip().splitlines() or [""]
    if not lines:
        return "" if _BASE64.fullmatch(last) else None
    full = {line.rstrip(" \t") for line in lines}
    lengths = {len(line) for line in full}
    if len(lengths) > 1 or len(last) > max(lengths) or not _BASE64.fullmatch(last):
        return None
    return last if all(map(_FULL_LINE.fullmatch, full)) else None
