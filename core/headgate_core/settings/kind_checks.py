"""What pools serve must fit together: routes are chat, fallbacks stay within one kind."""

from __future__ import annotations

from headgate_core.endpoints import Kind, serves
from headgate_core.plugins import load_class
from headgate_core.settings.document import Document
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.plugin_checks import Use, options_of
from headgate_core.settings.pools import PoolSettings


def check_kinds(settings: GatewaySettings, document: Document) -> None:
    """Note every pool that is used for what it does not serve."""
    kinds = {pool.name: pool.serves for pool in settings.pools}
    for index, route in enumerate(settings.routes):
        kind = kinds.get(route.pool, "chat")
        if kind != "chat":
            document.problem(
                ("routes", index, "pool"),
                f"the pool {route.pool!r} serves {kind}, and routes are for chat; callers name "
                f"such a pool itself as `model`. Take a pool that serves chat.",
            )
    for index, pool in enumerate(settings.pools):
        for name in pool.fallbacks.every:
            other = kinds.get(name, pool.serves)
            if other != pool.serves:
                document.problem(
                    ("pools", index, "fallbacks"),
                    f"the pool {pool.name!r} serves {pool.serves} and cannot fall back to "
                    f"{name!r}, which serves {other}.",
                )
        _targets(settings, document, index, pool)


def _targets(settings: GatewaySettings, document: Document, index: int, pool: PoolSettings) -> None:
    uses = {provider.name: provider.use for provider in settings.providers}
    for number, target in enumerate(pool.targets):
        use = uses.get(target.provider)
        if use is None or _can(use, pool.serves):
            continue
        document.problem(
            ("pools", index, "targets", number, "provider"),
            f"the pool serves {pool.serves}, which the provider {target.provider!r} ({use}) "
            "cannot do; take another provider, or another `serves`.",
        )


def _can(use: str, kind: Kind) -> bool:
    """Whether the plugin can serve the kind; one that cannot be loaded is reported elsewhere."""
    if isinstance(options_of(Use("providers", use, {}, ())), str):
        return True
    return serves(load_class("providers", use), kind)
