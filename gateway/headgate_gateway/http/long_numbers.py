"""Whole numbers that a body's parser would round: they are refused, never changed in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from headgate_core.errors import InvalidRequest
from headgate_core.types import Json

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_WHOLE = re.compile(rb"(?<![\d.eE+-])-?\d{19,}+(?![.eE])")
_DIGITS = bytes(48 if 48 <= byte <= 57 else byte if byte == 45 else 32 for byte in range(256))
"""Every digit becomes a 0, a minus stays, and every other byte becomes a space."""
_BEYOND = (b"0" * 20, b"-" + b"0" * 19)
"""What a number must have to be more than 64 bits hold."""
_SMALL = 1_000_000
"""Bytes of a body in which the exact place of a number is looked for."""


class _Rounded(str):
    """The digits of a number that no double is equal to."""

    __slots__ = ()


def refuse_rounded(data: bytes, body: Json) -> None:
    """Raises ``InvalidRequest`` naming a whole number of this JSON that would arrive as another.

    ``body`` is what ``data`` was read as. Beyond 64 bits a number is read as a double. One that a
    double holds exactly, such as the 1e20 that JavaScript writes with all of its digits, is the
    same number afterwards.
    """
    zeros = data.translate(_DIGITS)
    if not any(long in zeros for long in _BEYOND):
        return  # nearly always; only then are texts told from numbers
    rounded = next(_found(_STRING.sub(b'""', data)), None)
    if rounded is None:
        return
    path, is_there = _place(data, body, rounded)
    raise InvalidRequest(
        f"{f'`{path}`' if path else 'The body'} {'is' if is_there else 'holds'} {rounded}, a whole "
        "number that 64 bits do not hold. Send it as a text.",
        param=path or None,
    )


def _found(data: bytes) -> Iterator[str]:
    """Whole numbers that would be rounded; ``data`` is JSON without its texts."""
    for found in _WHOLE.finditer(data):
        digits = found.group().decode()
        if isinstance(_whole(digits), _Rounded):
            yield digits


def _place(data: bytes, body: Json, digits: str) -> tuple[str, bool]:
    """Where it stands, and whether that is the very place: of a large body it is a member."""
    if len(data) <= _SMALL:
        found = _rounded(json.loads(data, parse_int=_whole), "")
        path = next((path for path, number in found if number == digits), "")
        return path, bool(path)
    read = orjson.dumps(float(digits))
    return next((n for n, value in body.items() if read in orjson.dumps(value)), ""), False


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
