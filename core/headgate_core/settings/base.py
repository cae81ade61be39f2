"""What all settings share: unknown members are refused, values are frozen."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Settings(BaseModel):
    """Base of every settings model.

    ``planned`` names members that belong to the grammar but are not acted on by this version;
    using one is an error that says so, because a setting that is accepted and ignored misleads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    planned: ClassVar[dict[str, str]] = {}


class PluginUse(Settings):
    """``NAME`` or ``{use: NAME, options: {...}}``; NAME may be ``package.module:Class``."""

    use: str
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"use": value} if isinstance(value, str) else value
