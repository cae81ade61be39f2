"""Unquoted YAML scalars: what they mean here, and which are refused because YAML guesses."""

from __future__ import annotations

import re
from decimal import Decimal

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)([eE][-+]?[0-9]+)?")
_OTHER_BASE = re.compile(r"[-+]?0(x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+|[0-9_]+)")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?")
_BASE_60 = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_YES = frozenset({"yes", "on", "y", "true"})
_NO = frozenset({"no", "off", "n", "false"})


class Trap(ValueError):
    """A scalar that YAML reads otherwise than people do; the text says how to write it."""


def plain(text: str) -> str | int | bool | Decimal | None:
    """The value of an unquoted scalar. Dates stay text. Raises ``Trap``."""
    if text in _NULL:
        return None
    if text in ("true", "false"):
        return text == "true"
    if text.lower() in _YES or text.lower() in _NO:
        right = "true" if text.lower() in _YES else "false"
        raise Trap(f'unquoted {text} is a trap of YAML: write {right}, or "{text}" for the text.')
    return _number(text)


def _number(text: str) -> str | int | Decimal:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text) or _UNDERSCORED.fullmatch(text):
        raise Trap(
            f"unquoted {text} is a trap of YAML (it may be read in another base): "
            f'write a plain decimal number, or "{text}" for the text.'
        )
    if _BASE_60.fullmatch(text):
        raise Trap(
            f"unquoted {text} is a trap of YAML (it is read as a number to base 60): "
            f'write "{text}" for the text, or the number itself.'
        )
    if _NOT_FINITE.fullmatch(text):
        raise Trap(f'{text} is not a number that can be used here; write "{text}" for the text.')
    return Decimal(text) if _DECIMAL.fullmatch(text) else text
