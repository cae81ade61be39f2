"""Whole numbers that a body's parser would round: they are refused, never changed in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from headgate_core.errors import InvalidRequest

_DIGITS = bytes(48 if 48 <= byte <= 57 else 32 for byte in range(256))
"""Every digit becomes a 0, and every other byte a space."""
_LONG = b"0" * 19
"""So many digits may be more than 64 bits hold."""


class _Rounded(str):
    """The digits of a number that no double is equal to."""

    __slots__ = ()


def refuse_rounded(data: bytes) -> None:
    """Raises ``InvalidRequest`` naming a whole number of this JSON that would arrive as another.

    Beyond 64 bits a number is read as a double. One that a double holds exactly, such as the 1e20
    that JavaScript writes with all of its digits, is the same number afterwards.
    """
    if _LONG not in data.translate(_DIGITS):
        return
    try:
        found = next(_rounded(json.loads(data, parse_int=_whole), ""), None)
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.") from None
    if found is not None:
        path, digits = found
        raise InvalidRequest(
            f"`{path}` is {digits}, a whole number that 64 bits do not hold. Send it as a text.",
            param=path,
        )


def _whole(digits: str) -> int | _Rounded:
    value = int(digits)
    if -(2**63) <= value < 2**64 or int(float(value)) == value:
        return value
    return _Rounded(digits)


def _rounded(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Rounded):
        yield path, str(value)
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _rounded(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _rounded(one, f"{path}[{place}]")
