"""``providers``, ``prices`` and ``pools``: which models there are and how one is chosen."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from headgate_core.endpoints import Kind
from headgate_core.settings.base import PluginUse, Settings

MOST_ATTEMPTS = 10


class ProviderSettings(PluginUse):
    """One way to reach models."""

    short_form: ClassVar[dict[str, object] | None] = None
    name: str = Field(min_length=1)


class PriceOverride(Settings):
    """Prices of one model in dollars per million tokens, from a day on; one entry a tier."""

    model: str
    service_tier: str = ""
    """Empty = the standard tier."""
    from_: date | None = Field(default=None, alias="from")
    input_per_mtok_usd: Decimal = Field(ge=0)
    output_per_mtok_usd: Decimal = Field(ge=0)
    cached_input_per_mtok_usd: Decimal | None = Field(default=None, ge=0)
    cache_write_per_mtok_usd: Decimal | None = Field(default=None, ge=0)
    cache_write_1h_per_mtok_usd: Decimal | None = Field(default=None, ge=0)
    audio_input_per_mtok_usd: Decimal | None = Field(default=None, ge=0)
    audio_output_per_mtok_usd: Decimal | None = Field(default=None, ge=0)
    search_unit_usd: Decimal | None = Field(default=None, ge=0)


class PriceSettings(Settings):
    """Over litellm's bundled table."""

    planned: ClassVar[dict[str, str]] = {"unpriced": "refusing unpriced models under a hard budget"}
    overrides: list[PriceOverride] = Field(default=[])


class TargetSettings(Settings):
    """One model at one provider."""

    provider: str
    model: str
    weight: float = Field(default=1.0, gt=0)


class TimeoutSettings(Settings):
    """Independent timers in seconds; the error names the one that fired and its value."""

    connect_s: float = Field(default=5, gt=0)
    first_token_s: float = Field(default=60, gt=0)
    """Streams only: an answer in one piece is begun when it is complete."""
    between_tokens_s: float = Field(default=60, gt=0)
    """Streams only."""
    answer_s: float | None = Field(default=None, gt=0)
    """One target's whole answer where the call is no stream. Left out, ``total_s`` ends it, and
    after half of that another target or a fallback is tried beside it."""
    total_s: float = Field(default=600, gt=0)


class RetrySettings(Settings):
    """``attempts``: tries in this pool, the first one included."""

    attempts: int = Field(default=2, ge=1, le=MOST_ATTEMPTS)
    """A pool that does not say it has as many as targets, and 2 at least."""
    extra_share: float = Field(default=0.1, ge=0, le=1)
    """Most extra load that retries and hedges may put on the pool, as a share of its calls."""


class BreakerSettings(Settings):
    """When a target is left alone: at this share of faults among enough calls in the window."""

    error_share: float = Field(default=0.5, gt=0, le=1)
    window_s: float = Field(default=30, gt=0)
    least_calls: int = Field(default=20, ge=1)
    open_s: float = Field(default=15, gt=0)
    """Then one probe at a time decides whether it is used again."""


class QueueSettings(Settings):
    """How many calls a target may have in flight, and who waits how long for a place."""

    in_flight_per_target: int = Field(default=64, ge=1)
    waiting: int = Field(default=200, ge=0)
    wait_s: float = Field(default=5, gt=0)


class HedgeSettings(Settings):
    """A second attempt once the first took longer to its first content than 95 % of late."""

    max_share: float = Field(default=0.05, gt=0, le=1)
    """At most this share of a pool's calls."""


class ProbeSettings(Settings):
    """Asks the pool's providers for their list of models beside the calls; no call, no cost."""

    every_s: float = Field(default=30, ge=1)


class FallbackSettings(Settings):
    """Pools tried in order once this one has failed before the first content byte, by class."""

    short_form: ClassVar[dict[str, object] | None] = {"type": "array", "items": {"type": "string"}}
    error: list[str] = Field(default=[])
    context_window: list[str] = Field(default=[])
    """When the request is too long for the model."""
    content_policy: list[str] = Field(default=[])
    """When the provider refuses the content."""

    @property
    def every(self) -> list[str]:
        """The pools of all classes, each once."""
        return list(dict.fromkeys((*self.error, *self.context_window, *self.content_policy)))

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:
        return {"error": value} if isinstance(value, list) else value


class PoolSettings(Settings):
    """Targets that may stand in for each other."""

    name: str = Field(min_length=1)
    serves: Kind = "chat"
    strategy: PluginUse = PluginUse(use="priority")
    targets: list[TargetSettings] = Field(min_length=1)
    timeouts: TimeoutSettings = TimeoutSettings()
    retries: RetrySettings = Field(default=RetrySettings(), validate_default=True)
    fallbacks: FallbackSettings = FallbackSettings()
    breaker: BreakerSettings = BreakerSettings()
    queue: QueueSettings | None = None
    hedge: HedgeSettings | None = None
    probe: ProbeSettings | None = None
    drop_unsupported: bool = False
    """Parameters that a target cannot honour are left out and named; else the call is refused."""
    unpriced: Literal["mark", "refuse"] = "mark"
    """A model without a known price is marked on every record, or it is refused at start."""

    @field_validator("retries", mode="after")
    @classmethod
    def _each_target_once(cls, value: RetrySettings, info: ValidationInfo) -> RetrySettings:
        """The default number of attempts lets every target of the pool stand in for the others."""
        targets = info.data.get("targets") or ()
        if "attempts" in value.model_fields_set or len(targets) <= value.attempts:
            return value
        return value.model_copy(update={"attempts": min(len(targets), MOST_ATTEMPTS)})

    @property
    def stands_alone(self) -> bool:
        """Whether no other target could answer a call that this pool's target does not."""
        return len(self.targets) == 1 and not self.fallbacks.error
