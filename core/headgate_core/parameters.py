"""Parameters of a chat request whose values have a range, wherever they are written."""

from __future__ import annotations

from typing import Any

NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "max_tokens": (1, 10_000_000),
    "max_completion_tokens": (1, 10_000_000),
    "n": (1, 128),
}
"""Least and largest value."""

_WHOLE = frozenset({"max_tokens", "max_completion_tokens", "n"})


def fault_of(name: str, value: Any) -> str:
    """Why ``value`` cannot be the parameter ``name``: ``must be ...``; empty where it can."""
    if name not in NUMBERS:
        return ""
    low, high = NUMBERS[name]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        return f"must be a number from {low} to {high}"
    if name in _WHOLE and not isinstance(value, int):
        return "must be a whole number"
    return ""
