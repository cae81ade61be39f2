"""A chat request as parsed: known members are validated, unknown ones pass through untouched."""

from __future__ import annotations

from typing import Any

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "max_tokens": (1, 10_000_000),
    "max_completion_tokens": (1, 10_000_000),
    "n": (1, 128),
}
_BOOLEANS = ("stream", "logprobs", "parallel_tool_calls", "store")
_OBJECTS = ("stream_options", "response_format", "metadata", "prediction", "logit_bias")
_LISTS = ("tools", "functions", "modalities")
_KINDS: tuple[tuple[tuple[str, ...], type, str], ...] = (
    (_BOOLEANS, bool, "true or false"),
    (_OBJECTS, dict, "an object"),
    (_LISTS, list, "a list"),
)
_OWN = ("inputs", "meta")


def validated(body: Json) -> Json:
    """The body itself when it is sound. Raises ``InvalidRequest`` naming the parameter."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("`model` must be the name of a route, alias or pool.", param="model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest(
            "`messages` must be a list with at least one message.", param="messages"
        )
    for number, message in enumerate(messages):
        _message(message, f"messages[{number}]")
    for name, (low, high) in _NUMBERS.items():
        _number(body.get(name), name, low, high)
    for names, kind, words in _KINDS:
        for name in names:
            if body.get(name) is not None and not isinstance(body[name], kind):
                raise InvalidRequest(f"`{name}` must be {words}.", param=name)
    _own(body.get("headgate"))
    return body


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


def _number(value: Any, name: str, low: float, high: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"`{name}` must be a number from {low:g} to {high:g}.", param=name)
    if name in ("n", "max_tokens", "max_completion_tokens") and not isinstance(value, int):
        raise InvalidRequest(f"`{name}` must be a whole number.", param=name)


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
