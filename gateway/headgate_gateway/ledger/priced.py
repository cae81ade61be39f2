"""The prices of a configuration's models, and the pools that take no model without one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from headgate_core.errors import ConfigurationError
from headgate_core.ports import Provider
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import PoolSettings
from headgate_core.types import Usage
from headgate_gateway.ledger.prices import Prices

log = logging.getLogger("headgate.prices")

TYPICAL = Usage(1000, 500, search_units=1)
"""Of a call, to compare prices by."""


def question(settings: GatewaySettings, providers: Mapping[str, Provider]) -> Any:
    """What the prices depend on: equal questions have equal prices."""
    free = {name for name, p in providers.items() if getattr(type(p), "free", False)}
    uses = {p.name: p.use for p in settings.providers}
    models = {(t.provider, t.model) for pool in settings.pools for t in pool.targets}
    return settings.prices, models, uses, free


def answer(asked: Any) -> Prices:
    """The prices; reads the table, which is large."""
    overrides, models, uses, free = asked
    return Prices(overrides, models, uses=uses, free=free)


def insist(settings: GatewaySettings, prices: Prices) -> None:
    """Raises ``ConfigurationError`` for targets without a price in pools that refuse them."""
    missing = [
        f"{target.provider}/{target.model} of pool '{pool.name}'"
        for pool in settings.pools
        if pool.unpriced == "refuse"
        for target in pool.targets
        if prices.price(TYPICAL, target.provider, target.model).pico is None
    ]
    if missing:
        raise ConfigurationError(
            f"No price is known for {', '.join(missing)}, and `unpriced: refuse` takes no model "
            "without one. Give its prices in `prices.overrides`."
        )
    for pool in settings.pools:
        for target in pool.targets:
            _insist_on_kinds(pool, target.provider, target.model, prices)


def _insist_on_kinds(pool: PoolSettings, provider: str, model: str, prices: Prices) -> None:
    """An override that leaves kinds of tokens out is refused or, where the pool takes models
    without a price, told to the log: calls with such tokens will be unpriced."""
    silent = prices.silent(provider, model)
    if not silent:
        return
    names = " and ".join(f"`{name}`" for name in silent)
    lacks = (
        f"The override for {provider}/{model} has no price for some of what the model is charged"
    )
    if pool.unpriced == "refuse":
        raise ConfigurationError(
            f"{lacks} for, and `unpriced: refuse` takes no model without one. Add {names}."
        )
    log.warning("%s for, and calls with such tokens will be unpriced. Add %s.", lacks, names)
