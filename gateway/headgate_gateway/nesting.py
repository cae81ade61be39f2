"""How deep a JSON body may be nested so that it can be written again."""

from __future__ import annotations

from typing import Any

import orjson

MOST_LEVELS = 200
"""Objects and lists within each other. What writes JSON ends at 254; the rest is for members that
a body is put into: items of an event, a record, a tool's description in another dialect."""
_AROUND = 254 - MOST_LEVELS


def too_deep(data: bytes, value: Any) -> bool:
    """Whether ``value``, which was read from ``data``, is nested deeper than ``MOST_LEVELS``."""
    if data.count(b"{") + data.count(b"[") <= MOST_LEVELS:
        return False  # nearly always, and it costs next to nothing
    return not writable(value)


def writable(value: Any) -> bool:
    """Whether it is nested no deeper than ``MOST_LEVELS``."""
    for _ in range(_AROUND):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
