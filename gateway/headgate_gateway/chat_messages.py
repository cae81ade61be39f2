"""The messages of a chat request: roles, content in parts, and tool calls."""

from __future__ import annotations

from typing import Any

from headgate_core import validate as v

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_SAYS = frozenset({"system", "developer", "user"})
"""Roles whose messages are nothing without content."""


def _media(name: str, check: v.Check) -> v.Check:
    """A part whose ``name`` is there; a ``uuid`` stands for one that vLLM has seen before."""
    known = {name: check}

    def check_part(part: Any) -> None:
        if part.get(name) is None and "uuid" not in part:
            raise v.Wrong("is missing", f".{name}")
        v.check_known(part, known, ".")

    return check_part


_URL = v.members({"url": v.text, "detail": v.text}, ("url",))
_PART = v.by_type(
    {
        "text": v.members({"text": v.text}, ("text",)),
        "image_url": _media("image_url", v.text_or(_URL, "must be an object with a url")),
        "input_audio": _media(
            "input_audio", v.members({"data": v.text, "format": v.text}, ("data", "format"))
        ),
        "file": v.members(
            {"file": v.members({"file_data": v.text, "file_id": v.text, "filename": v.text})},
            ("file",),
        ),
        "refusal": v.members({"refusal": v.text}, ("refusal",)),
    }
)
_CALLED = v.members({"name": v.text, "arguments": v.text}, ("name", "arguments"))
_CUSTOM = v.members({"name": v.text, "input": v.text}, ("name", "input"))
_CALL = v.by_type(
    {
        "function": v.members({"id": v.text, "function": _CALLED}, ("id", "function")),
        "custom": v.members({"id": v.text, "custom": _CUSTOM}, ("id", "custom")),
    }
)
_MEMBERS: dict[str, v.Check] = {
    "content": v.text_or(v.items(_PART), "must be a text or a list of parts"),
    "name": v.text,
    "refusal": v.text,
    "tool_call_id": v.text,
    "tool_calls": v.items(_CALL),
    "function_call": _CALLED,
    "audio": v.members({"id": v.text}),
}


def _message(message: Any) -> None:
    """Most messages have a role and one text, and are through after the first lines."""
    if not isinstance(message, dict):
        raise v.Wrong("must be an object")
    role = message.get("role")
    if role not in ROLES:
        raise v.Wrong(f"must be one of {', '.join(ROLES)}", ".role")
    if role == "tool" and message.get("tool_call_id") is None:
        raise v.Wrong("is missing", ".tool_call_id")
    content = message.get("content")
    if isinstance(content, str) and len(message) == len(("role", "content")):
        return
    if content is None and role in _SAYS:
        raise v.Wrong("is missing", ".content")
    v.check_known(message, _MEMBERS, ".")


_listed = v.items(_message)


def messages(value: Any) -> None:
    """A list of at least one message. Raises ``Wrong``."""
    if not isinstance(value, list) or not value:
        raise v.Wrong("must be a list with at least one message")
    _listed(value)
