"""Content words of a text, brought to a common form, and how much each one tells."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+(?:[.'\u2019_-][^\W_]+)*")
_PART = re.compile(r"[^\W_]+")
_STOP = """
    a about above actually after again all already also am an and any anybody anyone anything
    are aren as at be because been before being below between both but by can could couldn did
    didn do does doesn doing don done down during each either else ever every everybody everyone
    everything few for from get gets give given go goes had happen happens has hasn have haven
    having he her here hers him his how i if in into is isn it its itself just kind know known
    let lets like ll look looks made make makes many may me might more most much must my need
    needs no nor not now of off on once one only or other our out over own please possible put
    puts re really same saw see seen shall she should shouldn so some somebody someone something
    sort still such tell than that the their them then there these they thing things this those
    through to too under until up us use used uses using ve very want was wasn way ways we were
    what when where whether which while who whom whose why will with within without won work
    works would wouldn yet you your yours
"""
STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing about what a text is about."""
_SUFFIXES = ("ization", "isation", "ations", "ation", "ments", "ment", "ings", "ing", "ions", "ion",
             "ers", "ies", "ied", "ed", "er", "es", "ly", "s", "e", "y")  # fmt: skip


def stem(word: str) -> str:
    """A crude common form: ``retries``, ``retried`` and ``retry`` become one."""
    word = word.lower().replace("ise", "ize")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return word


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, with repetitions.

    A compound such as ``max_tokens`` or ``read-only`` counts as its parts.
    """
    return [stem(word) for word in surface_words(text)]


def surface_words(text: str) -> list[str]:
    """The words that carry meaning, in lower case but not brought to their stems."""
    found = (w.lower() for w in _PART.findall(text))
    return [w for w in found if w not in STOP_WORDS and (len(w) > 1 or w.isdigit())]


_PARTICLES = frozenset(["up", "down", "off", "out", "over", "back", "in", "on"])


def compounds(text: str) -> dict[str, set[str]]:
    """The stems of words joined with a neighbour: ``back up`` gives ``backup`` for both.

    A particle may stand one word further on: ``roll it back`` gives ``rollback``.
    """
    tokens = [w.lower() for w in _PART.findall(text)]
    joined: dict[str, set[str]] = {}
    for at, word in enumerate(tokens):
        if word in STOP_WORDS:
            continue
        for place, other in enumerate(tokens[at + 1 : at + 3]):
            if other in _PARTICLES or (place == 0 and other not in STOP_WORDS):
                joined.setdefault(stem(word), set()).add(stem(word + other))
                joined.setdefault(stem(other), set()).add(stem(word + other))
    return joined


def forms(text: str) -> set[str]:
    """The stems of a text, and those of its words joined with a particle that follows."""
    found = set(content_words(text))
    tokens = [w.lower() for w in _PART.findall(text)]
    for word, other in pairwise(tokens):
        if other in _PARTICLES and word not in STOP_WORDS:
            found.add(stem(word + other))
    return found


def names(text: str) -> list[str]:
    """Stems of words written as names within a sentence: ``Kafka``, ``GraphQL``, ``S3``.

    Words that open a sentence do not count, nor does a text that is written in capitals or in
    title case throughout.
    """
    tokens = list(_WORD.finditer(text))
    inner = [m for m in tokens if not _opens(text, m.start())]
    marked = [m.group() for m in inner if any(c.isupper() for c in m.group()) and m.group() != "I"]
    if len(inner) > 3 and len(marked) > 0.6 * len(inner):
        return []
    return [s for word in marked for s in content_words(word)]


def _opens(text: str, at: int) -> bool:
    before = text[:at].rstrip(" \t\"'“\u2018(*`")
    return not before or before[-1] in ".!?:\n"


class Weights:
    """How much each word tells, by the number of texts that hold it (inverse frequency)."""

    def __init__(self, texts: Iterable[set[str]]) -> None:
        self._count = 0
        self._frequency: dict[str, int] = {}
        for words in texts:
            self._count += 1
            for word in words:
                self._frequency[word] = self._frequency.get(word, 0) + 1

    def of(self, word: str) -> float:
        """1 for a word in every text, more for rarer ones, most for one in no text."""
        frequency = self._frequency.get(word, 0)
        return 1.0 + math.log((self._count + 1) / (frequency + 1))

    def coverage(self, asked: Iterable[str], found: Mapping[str, float]) -> float:
        """The weighted share, 0..1, of ``asked`` in ``found`` (word -> how fully it counts)."""
        words = set(asked)
        total = sum(self.of(w) for w in words)
        return sum(self.of(w) * found.get(w, 0.0) for w in words) / total if total else 0.0
