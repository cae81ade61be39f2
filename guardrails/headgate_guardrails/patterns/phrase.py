"""One phrase people write to take over an assistant: a weighted pattern over normalised text.

A weight of 1 is enough by itself; lighter phrases are also used by harmless texts and count only
together with others. Blanks in a pattern stand for the single blanks of normalised text.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Phrase(NamedTuple):
    """One pattern: ``family`` names what it aims at, ``loose`` matches without blanks as well."""

    family: str
    weight: float
    strict: re.Pattern[str]
    loose: re.Pattern[str]
    documents: bool
    """Only for texts that were fetched: there nobody has a reason to speak to the assistant."""


def phrase(family: str, weight: float, pattern: str, documents: bool = False) -> Phrase:
    """A phrase from one pattern; its blanks may be missing in the loose form."""
    loose = re.compile(re.sub(r" (?![?*{])", " ?", pattern))
    return Phrase(family, weight, re.compile(pattern), loose, documents)
