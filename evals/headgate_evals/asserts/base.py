"""What all assertions share: what is expected, what was delivered, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from pydantic import field_validator

from headgate_core.settings.base import Settings
from headgate_core.types import Passage


class AssertSettings(Settings):
    """One assertion as a suite writes it; ``not-`` before a type turns its finding round."""

    planned: ClassVar[dict[str, str]] = {
        "weight": "weighted assertions",
        "metric": "named scores of assertions",
        "provider": "assertions by a judge",
        "rubricPrompt": "assertions by a judge",
        "transform": "transforming the answer",
        "contextTransform": "transforming the passages",
        "config": "assertions in code",
    }
    type: str
    value: str | int | Decimal | list[int] | None = None
    threshold: Decimal | None = None
    document: str | None = None
    section: str | None = None

    @field_validator("value", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            word = str(value).lower()
            raise ValueError(f'{word} is not a text: write "{word}" in quotes.')
        return value

    @property
    def negated(self) -> bool:
        """Whether the type is written with ``not-``."""
        return self.type.startswith("not-")

    @property
    def base_type(self) -> str:
        """The type without ``not-``."""
        return self.type.removeprefix("not-")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a finished call gave its caller. Time in seconds, money in pico-dollars."""

    answer: str
    passages: Sequence[Passage] = ()
    refused: bool = False
    total_s: float = 0.0
    cost_pico: int | None = 0
    """None: the price of a model is not known."""


class Finding(NamedTuple):
    """Whether it is as expected, and what was found, in words that fit either way."""

    passed: bool
    reason: str


class CannotTell(Exception):
    """The assertion has nothing to decide from; the case ends as an error."""


class Kind(NamedTuple):
    """One type: how it decides, and which members it takes and needs."""

    check: Callable[[AssertSettings, Delivered], Finding]
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    fault: Callable[[AssertSettings], str] = lambda _expected: ""
    """What is wrong with the members' values; empty when nothing is."""
