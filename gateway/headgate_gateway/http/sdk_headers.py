"""What the official SDKs say of themselves: how long they wait, and that a call is a retry."""

from __future__ import annotations

import math

from headgate_core.context import Context
from headgate_gateway.http.asgi import Scope, header

_CUT_OFF_S = 1.0
"""Less than this is lost where a client states whole seconds; a call is never cut short for it."""


def heed(ctx: Context, scope: Scope) -> None:
    """Never work longer than the client waits; its own retries count as extra load.

    A stream has no such end: its keep-alive comments let the client wait on.
    """
    waits_s = _waits_s(scope)
    if math.isfinite(waits_s) and not ctx.stream:
        ctx.notes["waits_s"] = waits_s
    if _number(header(scope, b"x-stainless-retry-count")) > 0:
        ctx.notes["sdk_retry"] = True


def _waits_s(scope: Scope) -> float:
    """How long the client waits; infinite where it does not say so.

    The SDK for Python states the exact time between two bytes, that for Node.js the whole seconds
    of the entire call.
    """
    exact_s = _number(header(scope, b"x-stainless-read-timeout"))
    whole_s = _number(header(scope, b"x-stainless-timeout"))
    return min(exact_s or math.inf, whole_s + _CUT_OFF_S if whole_s else math.inf)


def _number(text: str) -> float:
    """A finite number of at least 0; anything else is 0."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value >= 0 else 0.0
