"""litellm's HTTP clients: made anew once the hosts that may be connected to have changed."""

from __future__ import annotations

from typing import Any

from headgate_core.egress import guard

_KEPT = ("module_level_aclient", "module_level_client")
"""Clients that the SDK makes when they are first asked for, and keeps as its own attributes."""
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
