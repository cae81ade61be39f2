"""The suite file: what is asked, what must hold, and when the run counts as passed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from headgate_core.settings.base import Parameters, Settings
from headgate_core.types import Json
from headgate_evals.asserts.base import AssertSettings
from headgate_evals.asserts.registry import member_fault, type_fault

PASS_RATE = "pass_rate"
"""The one metric that assertions make: the share of finished cases that passed."""


class SuiteAssert(AssertSettings):
    """An assertion whose type and members are known to this version."""

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if fault := type_fault(value):
            raise ValueError(fault)
        return value

    @model_validator(mode="after")
    def _right_members(self) -> Self:
        if fault := member_fault(self):
            raise ValueError(fault)
        return self


class CaseSettings(Settings):
    """One case: ``input`` is short for one user message; ``messages`` is a whole conversation."""

    planned: ClassVar[dict[str, str]] = {
        "passages": "cases that bring their own passages",
        "min_pass": "k of n repeats",
    }
    id: str = Field(min_length=1, max_length=200)
    input: str | None = None
    messages: list[Parameters] = Field(default=[])
    inputs: Parameters = Field(default={})
    reference: str | None = None
    tags: list[str] = Field(default=[])
    asserts: list[SuiteAssert] = Field(default=[], alias="assert")
    smoke: bool = False
    """True: that the call succeeds is all that is expected; no assertion is needed."""

    @model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.input is None) == (not self.messages):
            raise ValueError(f"case {self.id!r} needs either `input` or `messages`.")
        for message in self.messages:
            if not isinstance(message.get("role"), str):
                raise ValueError(f"case {self.id!r}: each message needs `role` and `content`.")
        return self


class DataSettings(Settings):
    """The rows of one data file."""

    cases: list[CaseSettings] = Field(default=[])


class RunSettings(Settings):
    """What the cases are sent to."""

    route: str = Field(min_length=1)
    """A route, an alias or a pool of the gateway's configuration."""


class GateSettings(Settings):
    """A bound that the whole run must keep, over all cases or those with one tag."""

    planned: ClassVar[dict[str, str]] = {
        "max_loss": "comparing with a baseline",
        "relative": "comparing with a baseline",
    }
    metric: str
    stat: Literal["mean", "p50", "p95", "max", "sum"] = "mean"
    slice: str | None = None
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(f"the gate on {self.metric!r} needs `min` or `max`.")
        if self.metric == PASS_RATE and self.stat != "mean":
            raise ValueError(f"{PASS_RATE} is a share: it has no stat {self.stat!r}.")
        return self


class BudgetSettings(Settings):
    """What a run may take before it is stopped with what it has."""

    usd: Decimal | None = Field(default=None, gt=0)
    minutes: float = Field(default=60, gt=0)


class SuiteSettings(Settings):
    """A suite file as a whole."""

    planned: ClassVar[dict[str, str]] = {
        "baseline_max_age_days": "comparing with a baseline",
        "when_inconclusive": "comparing with a baseline",
        "flaky": "cases that may differ",
        "baseline: production": "comparing with a baseline",
        "baseline: run:*": "comparing with a baseline",
        "baseline: branch:*": "comparing with a baseline",
        "baseline: file:*": "comparing with a baseline",
        "passages: pinned": "cases that bring their own passages",
    }
    name: str = Field(min_length=1, max_length=200)
    description: str = ""
    owner: str = ""
    run: RunSettings
    matrix: Json = Field(default={})
    baseline: Literal["none"] = "none"
    passages: Literal["live"] = "live"
    data: list[str] = Field(default=[])
    cases: list[CaseSettings] = Field(default=[])
    asserts: list[SuiteAssert] = Field(default=[], alias="assert")
    metrics: list[str] = Field(default=["latency", "cost"])
    gates: list[GateSettings] = Field(default=[])
    coverage: float = Field(default=0.98, ge=0, le=1)
    when_incomplete: Literal["fail", "pass"] = "fail"
    repeats: int = Field(default=1, ge=1, le=100)
    concurrency: int = Field(default=4, ge=1, le=256)
    budget: BudgetSettings = BudgetSettings()
    seed: int = 0
    """Chooses the cases of ``--sample``."""

    @field_validator("matrix")
    @classmethod
    def _no_matrix(cls, value: Json) -> Json:
        if value:
            raise ValueError(
                "a matrix belongs to the suite grammar, but this version does not do it yet; "
                "remove it or write `matrix: {}`."
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _something_to_ask(cls, value: Any) -> Any:
        if isinstance(value, dict) and not value.get("cases") and not value.get("data"):
            raise ValueError("a suite needs `cases`, or `data` with the files that hold them.")
        return value
