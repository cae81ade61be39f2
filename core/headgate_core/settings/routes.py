"""``routes`` and ``defaults``: what a caller may name as ``model``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from headgate_core.settings.base import Parameters, PluginUse, Settings
from headgate_core.settings.retrieval import RetrievalSettings

Capture: TypeAlias = Literal["none", "masked", "full"]


class LimitSettings(Settings):
    """Limits of all callers together."""

    planned: ClassVar[dict[str, str]] = {
        "concurrent": "concurrency limits",
        "tokens_per_minute": "token limits",
    }
    requests_per_minute: int | None = Field(default=None, ge=1)


class RouteTimeoutSettings(Settings):
    """The tighter of route and pool wins."""

    total_s: float | None = Field(default=None, gt=0)


class ScoreSettings(Settings):
    """A metric that every call of the route is scored by, with all its members."""

    planned: ClassVar[dict[str, str]] = {
        "share": "sampling",
        "stat": "objectives",
        "min": "objectives",
        "max": "objectives",
    }
    short_form: ClassVar[dict[str, object] | None] = {"type": "string"}
    metric: str

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"metric": value} if isinstance(value, str) else value


MAX_TOKENS = 2048
"""The bound of a call where nobody names one; money is reserved by it."""

_BOUNDS = ("max_tokens", "max_completion_tokens")


class DefaultSettings(Settings):
    """For every route and every bare pool."""

    guards: list[str] = Field(default=[])
    capture: Capture = "none"
    parameters: Parameters = Field(default={"max_tokens": MAX_TOKENS})
    bare_pools: Literal["any", "granted", "never"] = "granted"
    scores: list[ScoreSettings] = Field(
        default=[
            ScoreSettings(metric="latency"),
            ScoreSettings(metric="cost"),
            ScoreSettings(metric="lexical_grounding"),
        ]
    )

    @field_validator("parameters")
    @classmethod
    def _bounded(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Other parameters do not take the bound away; only a bound of one's own does."""
        if any(name in parameters for name in _BOUNDS):
            return parameters
        return {"max_tokens": MAX_TOKENS, **parameters}


class RouteSettings(Settings):
    """One compiled pipeline."""

    planned: ClassVar[dict[str, str]] = {
        "release": "gated releases",
        "experiment": "experiments",
    }
    name: str = Field(min_length=1)
    aliases: list[str] = Field(default=[])
    team: str = "default"
    pool: str
    prompt: str | None = None
    parameters: Parameters = Field(default={})
    locked: list[str] = Field(default=[])
    retrieval: RetrievalSettings | None = None
    guards: list[str] = Field(default=[])
    cache: PluginUse | None = None
    capture: Capture | None = None
    limits: LimitSettings = LimitSettings()
    timeouts: RouteTimeoutSettings = RouteTimeoutSettings()
    scores: list[ScoreSettings] | None = None


class TeamSettings(Settings):
    """A team, as keys name it."""

    planned: ClassVar[dict[str, str]] = {"budget": "budgets"}
    name: str
    limits: LimitSettings = LimitSettings()


class MetricSettings(PluginUse):
    """A metric of one's own under a name of one's own."""

    planned: ClassVar[dict[str, str]] = {"daily_usd": "a judge's daily budget"}
    short_form: ClassVar[dict[str, object] | None] = None
    name: str
