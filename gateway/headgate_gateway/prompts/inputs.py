"""The inputs of one call: given, taken from the conversation, or by default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate_core.errors import InvalidRequest
from headgate_core.money import plain_numbers
from headgate_core.plugins import unknown
from headgate_gateway.prompts.front_matter import InputSettings, fault_of


def collect(
    specs: Mapping[str, InputSettings], given: Mapping[str, Any], question: str | None
) -> dict[str, Any]:
    """A value for every input. Raises ``InvalidRequest`` naming the first that is wrong."""
    for name in given:
        if name not in specs:
            raise InvalidRequest(
                unknown("input", name, tuple(specs)), param=f"headgate.inputs.{name}"
            )
    return {name: _value(name, spec, given, question) for name, spec in specs.items()}


def _value(name: str, spec: InputSettings, given: Mapping[str, Any], question: str | None) -> Any:
    value = given.get(name)
    if value is None and spec.from_ == "last_user_message":
        value = question
    if value is None:
        if spec.default is None:
            raise InvalidRequest(_missing(name, spec), param=f"headgate.inputs.{name}")
        return plain_numbers(spec.default)
    if fault := fault_of(spec, value):
        raise InvalidRequest(f"The input {name!r} {fault}.", param=f"headgate.inputs.{name}")
    return value


def _missing(name: str, spec: InputSettings) -> str:
    if spec.from_ == "last_user_message":
        return f"The input {name!r} is missing: the conversation has no user message with text."
    return f"The input {name!r} is missing; send it as headgate.inputs.{name}."
