"""One model's prices, and the arithmetic of a bill: exact decimals, rounded once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from headgate_core.types import Usage

MTOK = Decimal(1_000_000)
_PRICE = re.compile(r"^(?:input|output)_cost_per_token(?:_above_(\d+)k_tokens)?(?:_([a-z]+))?$")
_STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
_NOTHING = Decimal(0)
_ALIASES = {"batch": "batches", "fast": "priority"}
"""Tiers that the table knows under other names."""


class Cost(NamedTuple):
    """What one attempt cost. ``pico`` None = no known price, and ``text`` says why not."""

    pico: int | None
    text: str


class Part(NamedTuple):
    """Some of an attempt's tokens and the dollars for each; None = no known price."""

    name: str
    tokens: int
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars per token from ``above`` input tokens on; None = the table does not say."""

    above: int
    input: Decimal | None
    output: Decimal | None
    cached: Decimal | None = None
    reasoning: Decimal | None = None
    written: Decimal | None = None
    written_1h: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    search_unit: Decimal | None = None
    """Dollars per search unit."""

    def parts(self, usage: Usage) -> Iterator[Part]:
        """What there is to pay for: every token once, in the dearest of its kinds.

        Cached input without a price of its own is charged as input, reasoning as output: both are
        never dearer. No other kind is charged at another one's price.
        """
        rest = usage.input_tokens
        audio = min(usage.audio_input_tokens, rest)
        written = min(usage.cache_written_tokens, rest - audio)
        hour = min(usage.cache_written_1h_tokens, written)
        cached = min(usage.cached_input_tokens, rest - audio - written)
        spoken = min(usage.audio_output_tokens, usage.output_tokens)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens - spoken)
        yield Part("in", rest - audio - written - cached, self.input)
        yield Part("cached", cached, self.input if self.cached is None else self.cached)
        yield Part("written", written - hour, self.written)
        yield Part("written 1h", hour, self.written_1h)
        yield Part("audio in", audio, self.audio_input)
        yield Part("out", usage.output_tokens - reasoning - spoken, self.output)
        own = self.output if self.reasoning is None else self.reasoning
        yield Part("reasoning", reasoning, own)
        yield Part("audio out", spoken, self.audio_output)

    def lacks(self, usage: Usage) -> list[str]:
        """What was used and has no known price."""
        missing = [p.name for p in self.parts(usage) if p.tokens and p.price is None]
        if self.search_unit is not None and not usage.search_units:
            missing.append("search units, which were not told")
        return missing

    def dollars(self, usage: Usage) -> Decimal | None:
        """The exact bill; None when something that was used has no price."""
        if self.lacks(usage):
            return None
        units = usage.search_units * (self.search_unit or _NOTHING)
        return sum((p.tokens * (p.price or _NOTHING) for p in self.parts(usage)), units)

    def worst(self, usage: Usage) -> Decimal | None:
        """The most that as many tokens can cost, of whichever kinds they are."""
        if (usage.input_tokens and self.input is None) or (
            usage.output_tokens and self.output is None
        ):
            return None
        read = (self.input, self.cached, self.written, self.written_1h, self.audio_input)
        said = (self.output, self.reasoning, self.audio_output)
        return (
            usage.input_tokens * max(price or _NOTHING for price in read)
            + usage.output_tokens * max(price or _NOTHING for price in said)
            + usage.search_units * (self.search_unit or _NOTHING)
        )

    def text(self, usage: Usage) -> str:
        """The prices in dollars per million tokens: ``in 0.4 cached 0.1 out 1.6 USD/Mtok``.

        Of the rarer kinds those that were used are named.
        """
        own = {name for name in ("cached", "reasoning") if getattr(self, name) is not None}
        parts = [
            f"{p.name} {_digits(p.price)}"
            for p in self.parts(usage)
            if p.price is not None and (p.tokens or p.name in own | {"in", "out"})
        ]
        above = f" (above {self.above} input tokens)" if self.above else ""
        unit = "" if self.search_unit is None else f", {self.search_unit:f} USD a search unit"
        return f"{' '.join(parts)} USD/Mtok{above}{unit}"

    def times(self, factor: Decimal) -> Rate:
        """The same prices, all of them so many times as high."""
        prices = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "above"}
        return replace(self, **{n: p * factor for n, p in prices.items() if p is not None})


Rates: TypeAlias = Mapping[str, tuple[Rate, ...]]
"""Service tier (the standard one is ``""``) to its rates, those above most input tokens first."""


def tier_in(rates: Rates, told: str) -> str:
    """The tier that was told, as ``rates`` calls it (where they have it)."""
    tier = told.lower()
    if tier in _STANDARD:
        return ""
    return tier if tier in rates else _ALIASES.get(tier, tier)


def from_table(entry: Mapping[str, Any]) -> Rates:
    """The rates of an entry of litellm's table; none if it is not per token or search unit.

    Prices above a bound hold for all tokens of a request whose input is longer. Entries that
    charge in ways that we do not meter (a request, a second, a picture alone) have no rate.
    """
    if "input_cost_per_request" in entry or "tiered_pricing" in entry:
        return {}
    if entry.get("input_cost_per_token") is None or _only_otherwise(entry):
        return {}
    found = [match for key in entry if (match := _PRICE.match(key))]
    bounds = sorted({int(match[1]) for match in found if match[1]}, reverse=True)
    rates = {
        tier: tuple(_rate(entry, bound, tier) for bound in (*bounds, 0))
        for tier in {match[2] or "" for match in found}
    }
    own = entry.get("provider_specific_entry") or {}
    if "fast" in own:
        rates["fast"] = tuple(rate.times(Decimal(own["fast"])) for rate in rates[""])
    return rates


def _only_otherwise(entry: Mapping[str, Any]) -> bool:
    """Whether tokens are free, and something that we do not meter is not."""
    if entry.get("input_cost_per_token") or entry.get("output_cost_per_token"):
        return False
    return any(
        value
        for name, value in entry.items()
        if "_cost_" in name and name != "input_cost_per_query" and isinstance(value, int | Decimal)
    )


def _rate(entry: Mapping[str, Any], thousands: int, tier: str) -> Rate:
    above = f"_above_{thousands}k_tokens" if thousands else ""
    suffix = above + (f"_{tier}" if tier else "")

    def price(name: str, suffix: str = suffix) -> Decimal | None:
        value = entry.get(name + suffix)
        return None if value is None else Decimal(value)

    rate = Rate(
        above=thousands * 1000,
        input=price("input_cost_per_token"),
        output=price("output_cost_per_token"),
        cached=price("cache_read_input_token_cost"),
        reasoning=price("output_cost_per_reasoning_token"),
        written=price("cache_creation_input_token_cost"),
        written_1h=price("cache_creation_input_token_cost_above_1hr"),
        audio_input=price("input_cost_per_audio_token"),
        audio_output=price("output_cost_per_audio_token"),
        search_unit=price("input_cost_per_query", ""),
    )
    if entry.get("supports_audio_input") and entry.get("input_cost_per_audio_token") is None:
        return replace(rate, audio_input=rate.input)  # it hears, and at the price of text
    return rate


def _digits(per_token: Decimal) -> str:
    return f"{(per_token * MTOK).normalize():f}"
