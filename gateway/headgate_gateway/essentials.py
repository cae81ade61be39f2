"""What of a question must be the same, word by word, before two questions may share an answer.

Embeddings are blind to what changes an answer most: numbers, names, negation, direction, tense.
So every word counts, in its order, except for what is listed here: articles, politeness, the
asker's own pronouns, plurals, and a few words that mean the same to any reader.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product

LONGEST = 2000
"""A longer text is a document: nothing but the very same one is the same (characters)."""

_TOKEN = re.compile(
    r'"[^"]*"|`[^`]*`'  # quoted: as it stands
    r"|\w+(?:(?:[_/@#\\:+*=&-]+|\.(?=\w))\w+)+"  # identifiers, paths, versions, addresses, dates
    r"|\d+(?:[.,:]\d+)*(?!\w)"
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|\w+|\S"
)
_GREETINGS = frozenset({"hi", "hello", "hey", "please", "thanks"})
_BETWEEN = frozenset("?!.,;:()[]")
_ENDS = frozenset(".?!:")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_WHOLE_WORD = {"won't": ("will", "not"), "can't": ("can", "not"), "cannot": ("can", "not")}
_TAILS = (("n't", ("not",)), ("'ll", ("will",)), ("'ve", ("have",)), ("'d", ("would",)))
_ASKED = ("what", "how", "where", "who", "when", "why", "it", "that", "there")


def _phrases(*patterns: str) -> tuple[tuple[str, ...], ...]:
    """Every reading of patterns such as ``can|could you tell me``; ``-`` = nothing; longest first.

    A pattern's words stand apart; a word's variants have ``|`` between them.
    """
    found = set()
    for pattern in patterns:
        for words in product(*(word.split("|") for word in pattern.split())):
            found.add(tuple(w for w in words if w != "-"))
    return tuple(sorted(found, key=len, reverse=True))


_FILLERS = _phrases(
    "please|kindly|thanks|hi|hello|hey",
    "thank you",
    "can|could|would|will you please|- tell|explain|show|help to|- me",
    "can|could|would|will you please|- explain",
    "do you|anybody|anyone know",
    "does anybody|anyone know",
    "i would|'d like to know|understand",
    "i want|need to know|understand",
    "i was|am wondering",
    "i wonder",
    "tell|let me know|-",
    "quick question",
)
_HOW = _phrases(
    "how do|can|could|would|should i|we|you|one",
    "how does one",
    "how to",
    "what is|are the best|right|correct|easiest|- way|ways|steps|procedure|process to|for",
)
_EMPTY = "a an the of is are am be do does my our just actually really exactly currently"
_NOTHING = frozenset(_EMPTY.split())
_YES_OR_NO = frozenset({"is", "are", "am", "do", "does"})
"""At the beginning they make a question of what would be a statement without them."""
_SAME = {
    "we": "i",
    "us": "me",
    "could": "can",
    "were": "was",
    "did": "was",
    "has": "have",
    "ought": "should",
    "shall": "will",
    "purchase": "buy",
    "begin": "start",
    "commence": "start",
    "remove": "delete",
    "erase": "delete",
    "repair": "fix",
    "modify": "change",
    "alter": "change",
    "big": "large",
    "rapid": "fast",
    "entire": "whole",
    "obtain": "get",
    "require": "need",
    "everyone": "everybody",
    "automobile": "car",
    "photo": "picture",
    "percent": "%",
}
_COUNT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_COUNT.split())}
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'}


def essentials(text: str) -> tuple[str, ...]:
    """The words that count, in their order; only equal tuples may be the same question."""
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES).strip()
    if len(plain) > LONGEST or "```" in plain:
        return (plain,)
    words = _without(list(_words(plain)), _FILLERS, ())
    words = _without(words, _HOW, ("how to",))
    asked = ("whether",) if words and words[0] in _YES_OR_NO else ()
    return (*asked, *(w for w in map(_canonical, words) if w not in _NOTHING))


def _words(text: str) -> Iterator[str]:
    """Tokens; words in lower case unless they are names, contractions written out."""
    start = True
    for token in _TOKEN.findall(text):
        if token in _BETWEEN:
            start = start or token in _ENDS
            continue
        if token[0].isalpha() and "'" in token:
            yield from _written_out(_cased(token, start))
        else:
            yield _cased(token, start)
        start = start and token.casefold() in _GREETINGS


def _cased(token: str, start: bool) -> str:
    """Names keep their capitals: inside a sentence one is enough, at its start it takes two."""
    if not token.isalpha() and not ("'" in token and token[0].isalpha()):
        return token
    capitals = sum(letter.isupper() for letter in token)
    name = capitals >= (2 if start else 1) and token not in ("I", "I'm", "I'd", "I'll", "I've")
    return token if name else token.casefold()


def _written_out(word: str) -> Sequence[str]:
    if word in _WHOLE_WORD:
        return _WHOLE_WORD[word]
    for tail, instead in _TAILS:
        if word.endswith(tail):
            return (word.removesuffix(tail), *instead)
    stem = word.partition("'")[0]
    return (stem, "is") if stem in _ASKED else (stem,)


def _without(
    words: list[str], phrases: Sequence[tuple[str, ...]], instead: tuple[str, ...]
) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(words):
        phrase = next((p for p in phrases if tuple(words[place : place + len(p)]) == p), None)
        found += [words[place]] if phrase is None else instead
        place += len(phrase) if phrase else 1
    return found


def _canonical(word: str) -> str:
    if _THOUSANDS.fullmatch(word):
        return word.replace(",", "")
    word = _SAME.get(word, _NUMBERS.get(word, word))
    if (
        word.isalpha()
        and word.islower()
        and len(word) > 3
        and not word.endswith(("ss", "us", "is"))
    ):
        singular = word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")
        return _SAME.get(singular, singular)
    return word
