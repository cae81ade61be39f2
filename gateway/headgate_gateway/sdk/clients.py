"""litellm's HTTP clients: those made for one provider are closed with it.

They are made anew once the hosts that may be connected to have changed.
"""

from __future__ import annotations

import inspect
from typing import Any

from headgate_core.egress import guard
from headgate_gateway.sdk.wire import owner

_KEPT = ("module_level_aclient", "module_level_client")
"""Clients that the SDK makes when they are first asked for, and keeps as its own attributes."""
_SHARED = "module_level"
"""Names such clients: all providers use them, so none may close them; they hold nobody's key."""
_seen = 0


def renew_clients(sdk: Any) -> None:
    """Let the SDK forget its clients after a change of the list, so that they connect again.

    A connection that was opened before the change would be used past the list otherwise. Calls
    that are going on hold their clients themselves.
    """
    global _seen
    if _seen == guard.changes():
        return
    _seen = guard.changes()
    kept = sdk.in_memory_llm_clients_cache
    for key in list(kept.cache_dict):
        kept.delete_cache(key)  # the SDK closes it when its calls have ended
    for name in _KEPT:
        vars(sdk).pop(name, None)


def keep_apart(sdk: Any) -> None:
    """Let the SDK keep its clients by provider: it would share them, and never close them."""
    kept = sdk.in_memory_llm_clients_cache
    name_of = kept.update_cache_key_with_event_loop

    def named(key: str) -> str:
        return name_of(key) if _SHARED in key else f"{name_of(key)}{_mark(owner())}"

    kept.update_cache_key_with_event_loop = named


async def close_clients(sdk: Any, provider: str) -> None:
    """Close the clients of a provider whose calls are over, and their connections."""
    kept = sdk.in_memory_llm_clients_cache
    for key in [one for one in kept.cache_dict if one.endswith(_mark(provider))]:
        client = kept.cache_dict[key]
        kept.delete_cache(key)
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        closing = close() if close is not None else None
        if inspect.isawaitable(closing):
            await closing


def _mark(provider: str) -> str:
    return f"@{provider}"
