"""What all settings share: unknown members are refused, values are frozen."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from headgate_core.money import plain_numbers

Parameters = Annotated[dict[str, Any], BeforeValidator(plain_numbers)]
"""Parameters of a chat request, e.g. ``temperature``: plain JSON values."""


class Settings(BaseModel):
    """Base of every settings model.

    ``planned`` names members that belong to the grammar but are not acted on by this version;
    using one is an error that says so, because a setting that is accepted and ignored misleads.
    A name such as ``serves: embeddings`` (``*`` stands for anything) names one value of a member.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    planned: ClassVar[dict[str, str]] = {}
    short_form: ClassVar[dict[str, object] | None] = None
    """JSON Schema of what may stand instead of the members, for editors."""


class PluginUse(Settings):
    """``NAME`` or ``{use: NAME, options: {...}}``; NAME may be ``package.module:Class``."""

    short_form: ClassVar[dict[str, object] | None] = {"type": "string"}
    use: str
    options: dict[str, Any] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value
