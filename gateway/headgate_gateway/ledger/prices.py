"""What attempts cost: litellm's bundled table under the configuration's own overrides."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headgate_core.errors import ConfigurationError
from headgate_core.money import pico
from headgate_core.settings.pools import PriceOverride, PriceSettings
from headgate_core.types import Usage
from headgate_gateway.ledger.rates import MTOK, Cost, Rate, Rates, from_table, tier_in

TABLE = "model_prices_and_context_window_backup.json"
FREE = Cost(0, "free: runs in this process")
OPTIONS = {
    "written": "cache_write_per_mtok_usd",
    "written_1h": "cache_write_1h_per_mtok_usd",
    "audio_input": "audio_input_per_mtok_usd",
    "audio_output": "audio_output_per_mtok_usd",
    "search_unit": "search_unit_usd",
}
"""Prices of the rarer kinds, by what an override calls them."""
_ANY = ("", "auto")
"""The words of a request that leaves its tier to the provider."""
FREE_RATE = Rate(above=0, input=Decimal(0), output=Decimal(0))


@dataclass(frozen=True, slots=True)
class _Priced:
    """Rates that hold from a day on; ``source`` names where they are from."""

    since: date
    source: str
    rates: Rates
    own: bool = False
    """Whether the configuration says so itself."""

    def at(self, input_tokens: int, tier: str = "") -> Rate:
        rates = self.rates[tier]
        return next(rate for rate in rates if input_tokens > rate.above or not rate.above)


class Prices:
    """The prices of the configured models, and of no others.

    ``models`` are pairs of a provider's name and a model, ``uses`` the plugin that each provider
    uses, ``free`` the names of providers whose models run in this process. An override for a
    model beats the table from its day on; of several the latest that has begun holds.
    """

    def __init__(
        self,
        settings: PriceSettings,
        models: Iterable[tuple[str, str]],
        *,
        uses: Mapping[str, str],
        free: Collection[str] = (),
    ) -> None:
        self._free = frozenset(free)
        wanted = [(provider, model) for provider, model in models if provider not in self._free]
        table = _table() if wanted else {}
        names = {(p, m): (p, uses.get(p, p)) for p, m in wanted}
        self._known = {
            (provider, model): (
                *_overrides(provider, model, settings.overrides),
                *_bundled(prefixes, model, table),
            )
            for (provider, model), prefixes in names.items()
        }
        self._windows = {key: _window(names[key], key[1], table) for key in names}

    def price(
        self, usage: Usage, provider: str, model: str, tier: str = "", on: date | None = None
    ) -> Cost:
        """The cost of one attempt at ``provider/model`` on a day (UTC; today), rounded once.

        ``tier`` is the service tier in anybody's words; empty = the standard one.
        """
        if provider in self._free:
            return FREE
        found = self._found(provider, model, tier, on)
        if found is None:
            named = f" in the service tier {tier!r}" if tier else ""
            return Cost(None, f"unpriced: no price is known for {provider}/{model}{named}")
        priced, tier = found
        rate = priced.at(usage.input_tokens, tier)
        source = f"{priced.source} ({tier})" if tier else priced.source
        dollars = rate.dollars(usage)
        if dollars is None:
            missing = ", ".join(rate.lacks(usage))
            return Cost(None, f"unpriced: {source} lacks {missing}: {rate.text(usage)}")
        return Cost(pico(dollars), f"{source}: {rate.text(usage)}")

    def rate(self, provider: str, model: str) -> Rate | None:
        """Today's plain prices (standard tier, short requests); None = no known price."""
        if provider in self._free:
            return FREE_RATE
        found = self._found(provider, model)
        return None if found is None else found[0].at(0)

    def silent(self, provider: str, model: str) -> list[str]:
        """The kinds of tokens that the table has a price for, and today's override has none."""
        found = self._found(provider, model)
        listed = [p for p in self._known.get((provider, model), ()) if not p.own]
        if found is None or not found[0].own or not listed:
            return []
        ours, theirs = found[0].at(0), listed[0].at(0)
        return [
            option
            for name, option in OPTIONS.items()
            if getattr(theirs, name) and getattr(ours, name) is None
        ]

    def context_tokens(self, provider: str, model: str) -> int | None:
        """Tokens that a request to this model may hold, as the table says; None = unknown."""
        return self._windows.get((provider, model))

    def worst_case(self, most: Usage, provider: str, model: str, tier: str = "") -> int | None:
        """The most that one attempt can cost, in pico-dollars; None = no known price.

        All tokens are of the dearest kinds. A request for a ``tier`` may be served in the standard
        one, and one that names none in whichever the provider has for it.
        """
        if provider in self._free:
            return 0
        asked = self._worst(most, provider, model, tier)
        if asked is None:
            return None
        others = {""}
        if tier.lower() in _ANY:
            others = {one for p in self._known[provider, model] for one in p.rates}
        worst = (self._worst(most, provider, model, one) for one in others)
        return pico(max([asked, *(one for one in worst if one is not None)]))

    def _worst(self, most: Usage, provider: str, model: str, tier: str) -> Decimal | None:
        found = self._found(provider, model, tier)
        return None if found is None else found[0].at(most.input_tokens, found[1]).worst(most)

    def _found(
        self, provider: str, model: str, told: str = "", on: date | None = None
    ) -> tuple[_Priced, str] | None:
        """What holds on the day for the tier that was told, and how the tier is called there.

        Where an override of the standard tier holds, the table does not, for no other tier either.
        """
        begun = self._known.get((provider, model), ())
        if len(begun) > 1 or any(p.since > date.min for p in begun):
            today = on or datetime.now(UTC).date()
            begun = tuple(p for p in begun if p.since <= today)
        own = [priced for priced in begun if priced.own]
        overridden = any("" in priced.rates for priced in own)
        for priced in own if overridden else begun:
            tier = tier_in(priced.rates, told)
            if tier in priced.rates:
                return priced, tier
        return None


def _overrides(provider: str, model: str, overrides: Iterable[PriceOverride]) -> Iterator[_Priced]:
    """The configuration's own prices of a model, the latest first."""
    own = [o for o in overrides if o.model == f"{provider}/{model}"]
    for override in sorted(own, key=lambda o: o.from_ or date.min, reverse=True):
        yield _override(override)


def _bundled(prefixes: Iterable[str], model: str, table: Mapping[str, Any]) -> Iterator[_Priced]:
    """The table's price of a model, if it has one per token."""
    for name in _names(prefixes, model, table):
        if rates := from_table(table[name]):
            yield _Priced(date.min, f"bundled {name}", rates)
            return


def _window(prefixes: Iterable[str], model: str, table: Mapping[str, Any]) -> int | None:
    """The table's bound on the tokens of a request."""
    for name in _names(prefixes, model, table):
        bound = table[name].get("max_input_tokens")
        if isinstance(bound, int):
            return bound
    return None


def _override(override: PriceOverride) -> _Priced:
    rare = {name: getattr(override, option) for name, option in OPTIONS.items()}
    cached, unit = override.cached_input_per_mtok_usd, rare.pop("search_unit")
    rate = Rate(
        above=0,
        input=override.input_per_mtok_usd / MTOK,
        output=override.output_per_mtok_usd / MTOK,
        cached=None if cached is None else cached / MTOK,
        search_unit=unit,
        **{name: price / MTOK for name, price in rare.items() if price is not None},
    )
    since, rates = override.from_, {tier_in({}, override.service_tier): (rate,)}
    return _Priced(since or date.min, f"override{f' of {since}' if since else ''}", rates, own=True)


def _names(prefixes: Iterable[str], model: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Names under which the table may have a model, the most telling first.

    ``anthropic/x`` is taken for the table's ``x`` only where that one is anthropic's. The table
    splits some providers by their interfaces: ``bedrock_converse``, ``vertex_ai-language-models``.
    """
    for name in (*(f"{prefix}/{model}" for prefix in prefixes), model):
        if name in table:
            yield name
    prefix, _, bare = model.partition("/")
    owner = str(table[bare].get("litellm_provider")) if bare in table else ""
    if owner == prefix or owner.startswith((f"{prefix}_", f"{prefix}-")):
        yield bare


def _table() -> Mapping[str, Any]:
    spec = find_spec("litellm")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ConfigurationError("litellm is not installed, and with it the table of prices.")
    path = Path(folders[0]) / TABLE
    try:
        table: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The table of prices {path} cannot be read: {error}.") from error
    return table
