"""JSON as upstreams write it: what is no text or no number becomes the nearest thing that is."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_LONGEST = 20
"""A whole number of more characters is more than 64 bits hold."""
_LEAST, _MOST = -(2**63), 2**64 - 1


class Mended(dict[str, Any]):
    """An object that strict readers refuse in the bytes that came."""

    __slots__ = ("data",)

    def __init__(self, body: dict[str, Any], data: bytes) -> None:
        """``data`` is the object written again as every client of the wire reads it."""
        super().__init__(body)
        self.data = data


def loads(data: bytes) -> Any:
    """The value; an object that had to be mended is a ``Mended``. Raises ``ValueError``.

    Half of a surrogate pair, as a text has it that was cut in two, becomes U+FFFD. ``NaN`` and the
    infinities become null. Neither is a reason to end a reply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            value = _read(data)
            again = mended(value)
        except (ValueError, RecursionError):
            raise error from None
        if not isinstance(again, dict):
            return again
        # Halves stay halves, escaped: clients that join texts make whole signs of them.
        return Mended(again, json.dumps(value, separators=(",", ":")).encode())


def mended(value: Any) -> Any:
    """The value with U+FFFD for each half of a pair. Raises ``ValueError``, ``TypeError``."""
    text = json.dumps(value, ensure_ascii=False)
    return orjson.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def _read(data: bytes) -> Any:
    text = data.decode("utf-8-sig")
    return json.loads(text, parse_constant=_finite, parse_float=_finite, parse_int=_whole)


def _whole(digits: str) -> int | float | None:
    value = int(digits) if len(digits) <= _LONGEST else None
    return value if value is not None and _LEAST <= value <= _MOST else _finite(digits)


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
