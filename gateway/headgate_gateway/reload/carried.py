"""What a new configuration takes over from the one before it, where both say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeAlias

from headgate_core import plugins
from headgate_core.ports import Provider
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import ProviderSettings
from headgate_core.settings.sources import file_options
from headgate_gateway.routing.pools import Pool
from headgate_gateway.routing.target_state import TargetState

Made: TypeAlias = tuple[ProviderSettings, tuple[str, ...]]
"""A provider as it is described, and digests of the files that its options name."""


def made_of(settings: GatewaySettings) -> dict[str, Made]:
    """What each provider is made of now. Blocks."""
    return {
        p.name: (p, tuple(map(_digest, file_options(p.options).values())))
        for p in settings.providers
    }


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""  # whoever needs the file says so


def same_providers(old: Mapping[str, Made], new: Mapping[str, Made]) -> frozenset[str]:
    """Names of the providers that are made of the same, secrets and files included."""
    return frozenset(name for name, made in new.items() if old.get(name) == made)


def providers(
    settings: GatewaySettings, kept: Mapping[str, Provider], same: Collection[str]
) -> dict[str, Provider]:
    """One provider each: those in ``same`` with their open connections, the others new.

    A provider that was bound to its configuration's tools cannot be shared with another one's.
    """
    return {
        p.name: kept[p.name]
        if p.name in same and not hasattr(kept[p.name], "bind")
        else plugins.build("providers", p.use, p.options)
        for p in settings.providers
    }


def take_over(old: Mapping[str, Pool], new: Mapping[str, Pool], same: Collection[str]) -> None:
    """Let the pools of ``new`` go on with the state of their namesakes.

    Health, load and speed of targets whose provider is in ``same``, budgets of retries, places
    and waiting calls of queues: they are the very same objects from now on, so that calls of both
    configurations count in one place. To be called at the moment of the change, not before.
    """
    for name, pool in new.items():
        if name in old:
            _adopt(old[name], pool, same)


def stay_disabled(old: Mapping[str, Pool], new: Mapping[str, Pool]) -> None:
    """Where the store cannot say which targets are disabled: those of ``old`` are, in ``new``.

    To be called before ``take_over``.
    """
    until = {s.target.name: s.disabled_until for pool in old.values() for s in pool.states}
    for pool in new.values():
        for state in pool.states:
            state.disabled_until = until.get(state.target.name)


def _adopt(old: Pool, new: Pool, same: Collection[str]) -> None:
    free = [state for state in old.states if state.target.provider in same]
    new.states = [_state(fresh, free, old, new) for fresh in new.states]
    if old.settings.retries.extra_share == new.settings.retries.extra_share:
        new.retries = old.retries
    if old.settings.hedge == new.settings.hedge:
        new.hedges = old.hedges
    if old.settings.strategy == new.settings.strategy:
        new.strategy = old.strategy
    old.queue.resize(new.queue)
    new.queue = old.queue


def _state(fresh: TargetState, free: list[TargetState], old: Pool, new: Pool) -> TargetState:
    """The target's state so far with what the new configuration says of it, else ``fresh``."""
    names = [state.target.name for state in free]
    if fresh.target.name not in names:
        return fresh
    kept = free.pop(names.index(fresh.target.name))
    kept.target, kept.provider, kept.price_pico = fresh.target, fresh.provider, fresh.price_pico
    kept.disabled_until = fresh.disabled_until
    if old.settings.breaker != new.settings.breaker:
        kept.breaker = fresh.breaker
    return kept
