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
from headgate_gateway.ledger.rates import MTOK, Cost, Rate, from_table

TABLE = "model_prices_and_context_window_backup.json"
FREE = Cost(0, "free: runs in this process")
FREE_RATE = Rate(above=0, input=Decimal(0), output=Decimal(0))


@dataclass(frozen=True, slots=True)
class _Priced:
    """Rates that hold from a day on, highest tier first; ``source`` names where they are from."""

    since: date
    source: str
    rates: tuple[Rate, ...]

    def at(self, input_tokens: int) -> Rate:
        return next(rate for rate in self.rates if input_tokens > rate.above or not rate.above)


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

    def price(self, usage: Usage, provider: str, model: str, on: date | None = None) -> Cost:
        """The cost of one attempt at ``provider/model`` on a day (UTC; today), rounded once."""
        if provider in self._free:
            return FREE
        priced = self._priced(provider, model, on)
        if priced is None:
            return Cost(None, f"unpriced: no price is known for {provider}/{model}")
        rate = priced.at(usage.input_tokens)
        dollars = rate.dollars(usage)
        if dollars is None:
            return Cost(None, f"unpriced: {priced.source} lacks a price: {rate.text}")
        return Cost(pico(dollars), f"{priced.source}: {rate.text}")

    def rate(self, provider: str, model: str) -> Rate | None:
        """Today's plain prices (no tier above); None = no known price."""
        if provider in self._free:
            return FREE_RATE
        priced = self._priced(provider, model, None)
        return None if priced is None else priced.at(0)

    def context_tokens(self, provider: str, model: str) -> int | None:
        """Tokens that a request to this model may hold, as the table says; None = unknown."""
        return self._windows.get((provider, model))

    def worst_case(
        self, input_tokens: int, max_tokens: int, provider: str, model: str
    ) -> int | None:
        """The most that one attempt can cost, in pico-dollars; None = no known price.

        Nothing is cached, and all ``max_tokens`` are of the dearer kind of output.
        """
        plain = self.price(Usage(input_tokens, max_tokens), provider, model).pico
        thought = self.price(
            Usage(input_tokens, max_tokens, reasoning_tokens=max_tokens), provider, model
        ).pico
        return None if plain is None or thought is None else max(plain, thought)

    def _priced(self, provider: str, model: str, on: date | None) -> _Priced | None:
        known = self._known.get((provider, model), ())
        if len(known) == 1 and known[0].since == date.min:
            return known[0]
        today = on or datetime.now(UTC).date()
        return next((priced for priced in known if priced.since <= today), None)


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
    cached = override.cached_input_per_mtok_usd
    rate = Rate(
        above=0,
        input=override.input_per_mtok_usd / MTOK,
        output=override.output_per_mtok_usd / MTOK,
        cached=None if cached is None else cached / MTOK,
    )
    since = override.from_
    return _Priced(since or date.min, f"override{f' of {since}' if since else ''}", (rate,))


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
