"""``routes`` and ``defaults``: what a caller may name as ``model``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from headgate_core.settings.base import PluginUse, Settings
from headgate_core.settings.retrieval import RetrievalSettings

type Capture = Literal["none", "masked", "full"]


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
    """A metric that every call of the route is scored by; a bound is an objective."""

    planned: ClassVar[dict[str, str]] = {"share": "sampling"}
    metric: str
    stat: str | None = None
    min: float | None = None
    max: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"metric": value} if isinstance(value, str) else value


class DefaultSettings(Settings):
    """For every route and every bare pool."""

    guards: list[str] = []
    capture: Capture = "none"
    parameters: dict[str, Any] = {"max_tokens": 2048}
    bare_pools: Literal["any", "granted", "never"] = "granted"
    scores: list[ScoreSettings] = [
        ScoreSettings(metric="latency"),
        ScoreSettings(metric="cost"),
        ScoreSettings(metric="lexical_grounding"),
    ]


class RouteSettings(Settings):
    """One compiled pipeline."""

    planned: ClassVar[dict[str, str]] = {
        "release": "gated releases",
        "experiment": "experiments",
    }
    name: str = Field(min_length=1)
    aliases: list[str] = []
    team: str = "default"
    pool: str
    prompt: str | None = None
    parameters: dict[str, Any] = {}
    locked: list[str] = []
    retrieval: RetrievalSettings | None = None
    guards: list[str] = []
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
    name: str
