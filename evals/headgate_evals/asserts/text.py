"""``contains``, ``icontains`` and ``regex``: what stands in the answer."""

from __future__ import annotations

import re

from headgate_evals.asserts.base import AssertSettings, Delivered, Finding


def text_of(expected: AssertSettings) -> str:
    """The value as text; numbers as their digits."""
    return str(expected.value)


def contains(expected: AssertSettings, delivered: Delivered) -> Finding:
    """The answer has the value in it, letter for letter."""
    wanted = text_of(expected)
    return _finding(wanted in delivered.answer, f"{wanted!r}")


def icontains(expected: AssertSettings, delivered: Delivered) -> Finding:
    """The answer has the value in it, whatever the case of the letters."""
    wanted = text_of(expected)
    found = wanted.casefold() in delivered.answer.casefold()
    return _finding(found, f"{wanted!r} (in any case)")


def regex(expected: AssertSettings, delivered: Delivered) -> Finding:
    """The pattern matches somewhere in the answer."""
    pattern = text_of(expected)
    found = re.search(pattern, delivered.answer) is not None
    return _finding(found, f"a match of /{pattern}/")


def text_fault(expected: AssertSettings) -> str:
    """A list is no text."""
    return "`value` must be a text." if isinstance(expected.value, list) else ""


def regex_fault(expected: AssertSettings) -> str:
    """A pattern that does not compile."""
    try:
        re.compile(text_of(expected))
    except re.error as error:
        return f"`value` is not a regular expression of Python: {error}."
    return text_fault(expected)


def _finding(found: bool, what: str) -> Finding:
    return Finding(found, f"{what} {'stands' if found else 'does not stand'} in the answer")
