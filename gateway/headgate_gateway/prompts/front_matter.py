"""The head of a prompt file: what it takes, what it sets, what it may hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from headgate_core import parameters as ranges
from headgate_core.money import plain_numbers
from headgate_core.settings.base import Parameters, Settings


class InputSettings(Settings):
    """One input of a prompt; without ``default`` and ``from`` the call must give it."""

    from_: Literal["last_user_message"] | None = Field(default=None, alias="from")
    type: Literal["text", "number", "yes_no", "one_of", "list"] = "text"
    of: list[str] = Field(default=[])
    """The values that ``one_of`` allows."""
    default: str | bool | int | Decimal | list[str] | None = None
    max_chars: int | None = Field(default=None, ge=1)
    description: str = ""

    @model_validator(mode="after")
    def _fits(self) -> InputSettings:
        if (self.type == "one_of") != bool(self.of):
            raise ValueError("`of` lists the values of `type: one_of`, and of no other type.")
        if self.from_ and self.type != "text":
            raise ValueError("`from: last_user_message` gives text; leave `type` out.")
        if self.default is not None and (fault := fault_of(self, self.default)):
            raise ValueError(f"`default` {fault}.")
        return self


class TokenSettings(Settings):
    """The most tokens, approximately, that a part may take; what is over is cut and reported."""

    history: int | None = Field(default=None, ge=0)
    passages: int | None = Field(default=None, ge=0)


class ExamplePassage(Settings):
    """A passage as an example writes it."""

    text: str
    title: str = ""
    heading: list[str] = Field(default=[])


class ExampleSettings(Settings):
    """One example: it is rendered when the file is read, so it cannot fall behind the template."""

    name: str
    inputs: dict[str, Any] = Field(default={})
    passages: list[ExamplePassage] = Field(default=[])
    assert_: list[dict[str, Any]] = Field(default=[], alias="assert")


class PromptSettings(Settings):
    """Everything between the two ``---`` lines."""

    planned: ClassVar[dict[str, str]] = {
        "tools": "tools that a prompt brings along",
        "schema": "schemas of replies",
    }
    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    description: str = ""
    owner: str = ""
    inputs: dict[str, InputSettings] = Field(default={})
    parameters: Parameters = Field(default={})
    tokens: TokenSettings = TokenSettings()
    client_system: Literal["keep", "refuse"] = "keep"
    examples: list[ExampleSettings] = Field(default=[])

    @field_validator("parameters")
    @classmethod
    def _in_range(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        for name, value in parameters.items():
            if fault := ranges.fault_of(name, value):
                raise ValueError(f"`{name}` {fault}")
        return parameters


def fault_of(spec: InputSettings, value: Any) -> str:
    """Why ``value`` does not fit the input, e.g. ``must be a number``; empty when it does."""
    value = plain_numbers(value)
    if spec.type == "number":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if number else "must be a number"
    if spec.type == "yes_no":
        return "" if isinstance(value, bool) else "must be true or false"
    if spec.type == "one_of":
        return "" if value in spec.of else f"must be one of {', '.join(spec.of)}"
    if spec.type == "list":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return "must be a list of texts"
        return _too_long(spec, sum(map(len, value)))
    return _too_long(spec, len(value)) if isinstance(value, str) else "must be text"


def _too_long(spec: InputSettings, length: int) -> str:
    if spec.max_chars is None or length <= spec.max_chars:
        return ""
    return f"has {length} characters, and at most {spec.max_chars} are allowed"
