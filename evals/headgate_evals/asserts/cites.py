"""``cites``: which passages the answer names by its markers."""

from __future__ import annotations

import re

from headgate_core.types import Passage
from headgate_evals.asserts.base import AssertSettings, Delivered, Finding
from headgate_evals.text import markers


def cites(expected: AssertSettings, delivered: Delivered) -> Finding:
    """At least one marker, every marker names a passage, and what else is asked is among them.

    ``value``: these numbers are cited. ``document`` and ``section``: one cited passage is from
    a document with that in its path, under a heading or anchor with that in it.
    """
    numbers = markers(delivered.answer)
    if not numbers:
        return Finding(False, "the answer cites nothing")
    dangling = [n for n in numbers if not 1 <= n <= len(delivered.passages)]
    if dangling:
        names = ", ".join(f"[{n}]" for n in dangling)
        return Finding(False, f"the answer cites {names}, and there is no such passage")
    missing = [n for n in _wanted(expected) if n not in numbers]
    if missing:
        return Finding(False, f"the answer does not cite {', '.join(f'[{n}]' for n in missing)}")
    return _place(expected, [delivered.passages[n - 1] for n in numbers])


def cites_fault(expected: AssertSettings) -> str:
    """Only passage numbers, which count from 1."""
    numbers = _wanted(expected)
    right = isinstance(expected.value, int | list | None) and all(n > 0 for n in numbers)
    return "" if right else "`value` must be a passage number or a list of them, as in [1, 2]."


def _wanted(expected: AssertSettings) -> list[int]:
    if isinstance(expected.value, list):
        return expected.value
    return [expected.value] if isinstance(expected.value, int) else []


def _place(expected: AssertSettings, cited: list[Passage]) -> Finding:
    fits = [p for p in cited if _in_document(p, expected) and _in_section(p, expected)]
    places = "; ".join(dict.fromkeys(_name(p) for p in cited))
    if fits:
        return Finding(True, f"the answer cites {places}")
    wanted = " in ".join(
        f"{what} {text!r}"
        for what, text in (("section", expected.section), ("document", expected.document))
        if text is not None
    )
    return Finding(False, f"the answer cites {places}, and not {wanted}")


def _in_document(passage: Passage, expected: AssertSettings) -> bool:
    return (expected.document or "").casefold() in passage.document.casefold()


def _in_section(passage: Passage, expected: AssertSettings) -> bool:
    wanted = (expected.section or "").casefold()
    slug = re.sub(r"[^\w]+", "-", wanted).strip("-")
    anchor = passage.anchor.casefold()
    return wanted in " > ".join(passage.heading).casefold() or bool(slug and slug in anchor)


def _name(passage: Passage) -> str:
    return " > ".join((passage.document, *passage.heading))
