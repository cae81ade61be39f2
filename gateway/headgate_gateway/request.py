"""A request as parsed: known members are validated, unknown ones pass through untouched."""

from __future__ import annotations

from typing import Any

from headgate_core.endpoints import Kind
from headgate_core.errors import InvalidRequest
from headgate_core.parameters import NUMBERS, fault_of
from headgate_core.types import Json
from headgate_gateway.forwarded import validate_forwarded

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_BOOLEANS = ("stream", "logprobs", "parallel_tool_calls", "store")
_OBJECTS = ("stream_options", "response_format", "metadata", "prediction", "logit_bias")
_LISTS = ("tools", "functions", "modalities")
_KINDS: tuple[tuple[tuple[str, ...], type, str], ...] = (
    (_BOOLEANS, bool, "true or false"),
    (_OBJECTS, dict, "an object"),
    (_LISTS, list, "a list"),
)
_OWN = ("inputs", "meta")


def validated(body: Json, kind: Kind = "chat") -> Json:
    """The body itself when it is sound. Raises ``InvalidRequest`` naming the parameter."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("`model` must be the name of a route, alias or pool.", param="model")
    _own(body.get("headgate"))
    if kind == "chat":
        _chat(body)
    else:
        validate_forwarded(kind, body)
    return body


def _chat(body: Json) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest(
            "`messages` must be a list with at least one message.", param="messages"
        )
    for number, message in enumerate(messages):
        _message(message, f"messages[{number}]")
    _values(body)


def _values(body: Json) -> None:
    for name in NUMBERS:
        if body.get(name) is not None and (fault := fault_of(name, body[name])):
            raise InvalidRequest(f"`{name}` {fault}.", param=name)
    for names, kind, words in _KINDS:
        for name in names:
            if body.get(name) is not None and not isinstance(body[name], kind):
                raise InvalidRequest(f"`{name}` must be {words}.", param=name)


def _message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise InvalidRequest(f"`{where}` must be an object.", param=where)
    if message.get("role") not in ROLES:
        known = ", ".join(ROLES)
        raise InvalidRequest(f"`{where}.role` must be one of {known}.", param=f"{where}.role")
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise InvalidRequest(
            f"`{where}.content` must be a text or a list of parts.", param=f"{where}.content"
        )
    if content is None and message["role"] in ("user", "system", "developer"):
        raise InvalidRequest(f"`{where}.content` is missing.", param=f"{where}.content")


def _own(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise InvalidRequest("`headgate` must be an object.", param="headgate")
    for name in value:
        if name not in _OWN:
            known = ", ".join(_OWN)
            raise InvalidRequest(
                f"`headgate.{name}` is not known. Known: {known}.", param=f"headgate.{name}"
            )
    if not isinstance(value.get("inputs", {}), dict):
        raise InvalidRequest("`headgate.inputs` must be an object.", param="headgate.inputs")
    if not isinstance(value.get("meta", False), bool):
        raise InvalidRequest("`headgate.meta` must be true or false.", param="headgate.meta")
