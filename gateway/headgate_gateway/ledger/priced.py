"""The prices of a configuration's models, and the pools that take no model without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate_core.errors import ConfigurationError
from headgate_core.ports import Provider
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.types import Usage
from headgate_gateway.ledger.prices import Prices

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
    for target in (t for pool in settings.pools if pool.unpriced == "refuse" for t in pool.targets):
        if silent := prices.silent(target.provider, target.model):
            raise ConfigurationError(
                f"The override for {target.provider}/{target.model} has no price for some of what "
                "the model is charged for, and `unpriced: refuse` takes no model without one. Add "
                f"{' and '.join(f'`{name}`' for name in silent)}."
            )
