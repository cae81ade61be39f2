"""One model's prices, and the arithmetic of a bill: exact decimals, rounded once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from headgate_core.types import Usage

MTOK = Decimal(1_000_000)
_TIER = re.compile(r"^(?:input|output)_cost_per_token_above_(\d+)k_tokens$")


class Cost(NamedTuple):
    """What one attempt cost. ``pico`` None = no known price, and ``text`` says why not."""

    pico: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars per token from ``above`` input tokens on; None = the table does not say."""

    above: int
    input: Decimal | None
    output: Decimal | None
    cached: Decimal | None = None
    reasoning: Decimal | None = None

    def dollars(self, usage: Usage) -> Decimal | None:
        """The exact bill; None when a component that was used has no price.

        Cached input without a price of its own is charged as input, reasoning as output.
        """
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens)
        total = Decimal(0)
        for tokens, price in (
            (usage.input_tokens - cached, self.input),
            (cached, self.input if self.cached is None else self.cached),
            (usage.output_tokens - reasoning, self.output),
            (reasoning, self.output if self.reasoning is None else self.reasoning),
        ):
            if tokens and price is None:
                return None
            total += tokens * (price or Decimal(0))
        return total

    @property
    def text(self) -> str:
        """The prices in dollars per million tokens: ``in 0.4 cached 0.1 out 1.6 USD/Mtok``."""
        named = {
            "in": self.input,
            "cached": self.cached,
            "out": self.output,
            "reasoning": self.reasoning,
        }
        parts = [f"{name} {_digits(p)}" for name, p in named.items() if p is not None]
        above = f" (above {self.above} input tokens)" if self.above else ""
        return f"{' '.join(parts)} USD/Mtok{above}"


def from_table(entry: Mapping[str, Any]) -> tuple[Rate, ...]:
    """The rates of an entry of litellm's table, highest tier first; none if it is not per token.

    A tier holds for all tokens of a request whose input is longer than its bound. Entries that
    charge in ways that we do not meter (a request, a second, nested tiers) have no rate.
    """
    if "input_cost_per_request" in entry or "tiered_pricing" in entry:
        return ()
    if entry.get("input_cost_per_token") is None:
        return ()
    bounds = {int(m[1]) for key in entry if (m := _TIER.match(key))}
    rates = [_rate(entry, bound) for bound in sorted(bounds, reverse=True)]
    return (*rates, _rate(entry, 0))


def _rate(entry: Mapping[str, Any], thousands: int) -> Rate:
    suffix = f"_above_{thousands}k_tokens" if thousands else ""

    def price(name: str) -> Decimal | None:
        value = entry.get(name + suffix)
        return None if value is None else Decimal(value)

    reasoning = entry.get("output_cost_per_reasoning_token")
    return Rate(
        above=thousands * 1000,
        input=price("input_cost_per_token"),
        output=price("output_cost_per_token"),
        cached=price("cache_read_input_token_cost"),
        reasoning=None if reasoning is None or thousands else Decimal(reasoning),
    )


def _digits(per_token: Decimal) -> str:
    return f"{(per_token * MTOK).normalize():f}"
