"""Text as the evaluations see it: citation markers, sentences, content words and their bigrams."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

MARKER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")
"""A citation marker: ``[2]`` or ``[1, 3]``."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019._-][^\W_]+)*")
_SENTENCE_END = re.compile(
    r"(?<=[.!?\u2026\u3002\uff01\uff1f])[\"')\]]*\s+"  # the end of a sentence
    r"|\n\s*\n"  # a blank line
    r"|\n(?=\s*(?:[-*+>]\s|\#|\||\d+[.)]\s))"  # a list item, heading, quotation or table row
)
STOP_WORDS = frozenset(
    _WORD.findall(
        "a about above after again all also am an and any are as at be because been before "
        "being below between both but by can could did do does doing down during each few for "
        "from further had has have having he her here hers him his how i if in into is it its "
        "just may me might more most must my no nor not now of off on once only or other our "
        "out over own same shall she should so some such than that the their them then there "
        "these they this those through to too under until up us very was we were what when "
        "where which while who whom why will with would you your "
    )
)
"""English function words that carry no content of their own."""


def markers(text: str) -> list[int]:
    """The numbers that ``text`` cites, in order of first use."""
    numbers = (int(n) for match in MARKER.finditer(text) for n in match[1].split(","))
    return list(dict.fromkeys(numbers))


def content_words(sentence: str) -> list[str]:
    """The lower-cased words of ``sentence`` without stop words.

    Letters and digits joined inside by ``'``, ``.``, ``_`` or ``-`` are one word: ``max_tokens``.
    """
    words = (match[0].lower().replace("\u2019", "'") for match in _WORD.finditer(sentence))
    return [word for word in words if word not in STOP_WORDS]


def content_bigrams(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of consecutive content words within each sentence; citation markers are taken out."""
    for sentence in _SENTENCE_END.split(MARKER.sub(" ", text)):
        yield from pairwise(content_words(sentence or ""))
