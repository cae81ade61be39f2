"""Settings that are well-formed and would do nothing: refused, because they mislead."""

from __future__ import annotations

from datetime import date

from headgate_core.plugins import load_class, unknown
from headgate_core.settings.document import Document, Trail
from headgate_core.settings.gateway import GatewaySettings


def check_idle(settings: GatewaySettings, document: Document) -> None:
    """Note prices of no target, weights that nothing reads, and teams that nobody declared."""
    _prices(settings, document)
    _weights(settings, document)
    _teams(settings, document)


def _prices(settings: GatewaySettings, document: Document) -> None:
    targets = [f"{t.provider}/{t.model}" for pool in settings.pools for t in pool.targets]
    known = sorted(set(targets))
    seen: dict[tuple[str, str, date | None], Trail] = {}
    for index, override in enumerate(settings.prices.overrides):
        trail: Trail = ("prices", "overrides", index)
        if override.model not in known:
            hint = " A price is for PROVIDER/MODEL, as a pool names them."
            fault = unknown("target", override.model, known) + hint
            document.problem((*trail, "model"), fault)
        key = (override.model, override.service_tier, override.from_)
        if key in seen:
            since = f"from {override.from_}" if override.from_ else "without `from`"
            document.problem(
                trail,
                f"there are two prices of {override.model!r} {since} "
                f"({document.place(seen[key])}); only one of them can hold.",
            )
        seen.setdefault(key, trail)


def _weights(settings: GatewaySettings, document: Document) -> None:
    for index, pool in enumerate(settings.pools):
        for number in range(len(pool.targets)):
            trail: Trail = ("pools", index, "targets", number, "weight")
            if trail in document.places and not _uses_weight(pool.strategy.use):
                document.problem(
                    trail,
                    f"the strategy {pool.strategy.use!r} does not use weights; "
                    "remove `weight`, or write `strategy: weighted`.",
                )


def _uses_weight(strategy: str) -> bool:
    """What the strategy says of itself; one that says nothing may use them."""
    try:
        return bool(getattr(load_class("strategies", strategy), "uses_weight", True))
    except Exception:  # noqa: BLE001 - anything may happen on import; check_plugins reports it
        return True


def _teams(settings: GatewaySettings, document: Document) -> None:
    known = sorted({"default", *(team.name for team in settings.teams)})
    for index, route in enumerate(settings.routes):
        if settings.teams and route.team not in known:
            document.problem(("routes", index, "team"), unknown("team", route.team, known))
