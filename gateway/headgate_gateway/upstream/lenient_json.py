"""JSON as upstreams write it: what is no text or no number becomes the nearest thing that is."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_LONGEST = 19
"""So many characters of a whole number may be more than 64 bits hold."""


def loads(data: bytes) -> Any:
    """The value. Raises ``ValueError`` for what is no JSON.

    Half of a surrogate pair, as a text has it that was cut in two, becomes U+FFFD. ``NaN`` and the
    infinities become null. Clients read both, so they are no reason to end a reply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            text = json.dumps(_read(data), ensure_ascii=False)
        except (ValueError, RecursionError):
            raise error from None
        return orjson.loads(
            text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        )


def _read(data: bytes) -> Any:
    return json.loads(data, parse_constant=_finite, parse_float=_finite, parse_int=_whole)


def _whole(digits: str) -> int | float | None:
    return int(digits) if len(digits) < _LONGEST else _finite(digits)


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
