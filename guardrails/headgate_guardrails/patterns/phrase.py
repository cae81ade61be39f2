"""One phrase people write to take over an assistant: a weighted pattern over normalised text.

A weight of 1 is enough by itself; lighter phrases are also used by harmless texts and count only
together with others. Blanks in a pattern stand for the single blanks of normalised text.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Phrase(NamedTuple):
    """One pattern: ``family`` names what it aims at, ``loose`` matches without blanks as well.

    Every match holds one of ``hints``; looking for those first is what keeps the check fast.
    ``documents``: only for fetched texts, where nobody has a reason to speak to the assistant.
    """

    family: str
    weight: float
    hints: tuple[str, ...]
    strict: re.Pattern[str]
    tight_hints: tuple[str, ...]
    loose: re.Pattern[str]
    documents: bool


def phrase(
    family: str, weight: float, hints: str, pattern: str, *, documents: bool = False
) -> Phrase:
    """A phrase from one pattern and its hints, parted by semicolons."""
    return Phrase(
        family,
        weight,
        tuple(hints.split(";")),
        re.compile(pattern),
        tuple(hints.replace(" ", "").split(";")),
        re.compile(re.sub(r" (?![?*{])", " ?", pattern)),
        documents,
    )
