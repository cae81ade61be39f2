"""What callers are told of a model: what it serves, how much fits, what it costs at most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from headgate_core.money import plain_digits
from headgate_core.settings.pools import PoolSettings
from headgate_core.types import Json
from headgate_gateway.ledger.prices import Prices
from headgate_gateway.ledger.rates import MTOK
from headgate_gateway.plan import RoutePlan
from headgate_gateway.routing.pools import chain


class ModelFacts:
    """Facts of routes and pools from the price table and its overrides."""

    def __init__(self, pools: Iterable[PoolSettings], prices: Prices) -> None:
        self._pools: Mapping[str, PoolSettings] = {pool.name: pool for pool in pools}
        self._prices = prices

    def of(self, plan: RoutePlan) -> Json:
        """The ``headgate`` member of an entry of ``/v1/models``.

        ``context_tokens`` is the least of the pool's targets, and prices are the highest of all
        targets that a call can reach, fallbacks included; either is left out where one of those
        targets has none that is known.
        """
        pool = self._pools[plan.settings.pool]
        facts: Json = {"kind": plan.serves}
        window = self._window(pool)
        if window is not None:
            facts["context_tokens"] = window
        rates = [
            self._prices.rate(target.provider, target.model)
            for reached in chain(self._pools, pool.name)
            for target in reached.targets
        ]
        known = [rate for rate in rates if rate is not None]
        if len(known) < len(rates):
            return facts
        facts |= _dearest("input_per_mtok_usd", [rate.input for rate in known])
        facts |= _dearest("output_per_mtok_usd", [rate.output for rate in known])
        units = [rate.search_unit for rate in known if rate.search_unit is not None]
        if units:
            facts["search_unit_usd"] = plain_digits(max(units))
        return facts

    def _window(self, pool: PoolSettings) -> int | None:
        bounds = [self._prices.context_tokens(t.provider, t.model) for t in pool.targets]
        known = [bound for bound in bounds if bound is not None]
        return min(known) if known and len(known) == len(bounds) else None


def _dearest(name: str, per_token: Sequence[Decimal | None]) -> Json:
    known = [price for price in per_token if price is not None]
    if len(known) < len(per_token):
        return {}
    return {name: plain_digits(max(known) * MTOK)}
