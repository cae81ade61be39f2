"""W3C trace context: a call joins the caller's trace."""

from __future__ import annotations

import re

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def joined_trace(traceparent: str, own: str) -> tuple[str, str]:
    """(trace id, parent span id) of a valid ``traceparent``, else (``own``, empty).

    The sampled flag is not looked at: it never stops our own record.
    """
    found = _TRACEPARENT.match(traceparent.strip().lower())
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return own, ""
    return found[1], found[2]
