"""The members of a chat completion that everything behind the upstream builds upon."""

from __future__ import annotations

from typing import Any

from headgate_core.types import Json

_NONE = type(None)
_TEXT = (str, _NONE)
_NUMBER = (int, _NONE)
_OBJECT = (dict, _NONE)
_NAMES = ("id", "model")
_NEEDED = ("choices", "finish_reason", "delta", "message")
"""Without them there is no answer, whatever clients make of an empty thing in their place."""
_BODY: dict[str, tuple[type, ...]] = {
    "choices": (list, _NONE),
    "usage": _OBJECT,
    "id": _TEXT,
    "model": _TEXT,
}
_CHOICE: dict[str, tuple[type, ...]] = {
    "index": _NUMBER,
    "finish_reason": _TEXT,
    "delta": _OBJECT,
    "message": _OBJECT,
}
_MESSAGE: dict[str, tuple[type, ...]] = {
    "content": (str, list, _NONE),
    "refusal": _TEXT,
    "tool_calls": (list, _NONE),
    "function_call": _OBJECT,
    "audio": _OBJECT,
    "annotations": (list, _NONE),
}
_CALL: dict[str, tuple[type, ...]] = {
    "index": _NUMBER,
    "id": _TEXT,
    "function": _OBJECT,
    "custom": _OBJECT,
}
MOST_LISTED = 4096
"""Choices of a body, tool calls of a message: an answer has no more, and each costs time."""
_FUNCTION: dict[str, tuple[type, ...]] = {
    "name": _TEXT,
    "arguments": (str, dict, list, _NONE),
    "input": (str, dict, list, _NONE),
}


def require_shape(body: Json) -> None:
    """Raise ``TypeError``, naming the member, where a known one is not of its kind.

    What says nothing or only names the reply (an ``id`` that is a number) is no reason to throw an
    answer away: it is written in its kind, or taken out. Runs for every chunk of every stream: what
    is of its kind costs a look-up a member.
    """
    _kinds(body, _BODY, "the body")
    for choice in _few(body.get("choices"), "choices"):
        _kinds(choice, _CHOICE, "a choice")
        for name in ("delta", "message"):
            if choice.get(name):
                _message(choice[name])


def _message(message: Json) -> None:
    _kinds(message, _MESSAGE, "a message")
    for call in _few(message.get("tool_calls"), "tool_calls"):
        _kinds(call, _CALL, "a tool call")
        _function(call.get("function"))
        _function(call.get("custom"))
    _function(message.get("function_call"))
    for note in message.get("annotations") or ():
        _kinds(note, {"url_citation": _OBJECT}, "an annotation")


def _function(function: Any) -> None:
    if function:
        _kinds(function, _FUNCTION, "a call's function")


def _kinds(value: Any, kinds: dict[str, tuple[type, ...]], what: str) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{what} is no object")
    for name, inner in value.items():
        kind = kinds.get(name)
        if kind is not None and not isinstance(inner, kind):
            _settled(value, kinds, what)
            return


def _few(listed: Any, name: str) -> Any:
    if listed and len(listed) > MOST_LISTED:
        raise TypeError(f"`{name}` has more than {MOST_LISTED} entries")
    return listed or ()


def _settled(value: Json, kinds: dict[str, tuple[type, ...]], what: str) -> None:
    """Mend the members that need not be right. Raises ``TypeError`` for another one."""
    for name, inner in list(value.items()):
        kind = kinds.get(name)
        if kind is None or isinstance(inner, kind):
            continue
        if name in _NAMES and isinstance(inner, int | float):
            value[name] = str(inner)
        elif name in _NAMES or name == "usage" or not (inner or name in _NEEDED):
            del value[name]
        elif isinstance(inner, float) and inner.is_integer() and int in kind:
            value[name] = int(inner)
        else:
            raise TypeError(f"`{name}` of {what} is not of its kind")
