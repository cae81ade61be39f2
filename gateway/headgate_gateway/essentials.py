"""What of a question must be the same, word by word, before two questions may share an answer.

Embeddings are blind to what changes an answer most: numbers, names, negation, direction, tense,
brackets. So every word and every mark counts, in its order, except for what is listed here:
articles, politeness, the asker's own pronouns, plurals, and a few words that mean the same to any
reader. Only what looks like a word of a sentence is looked over; all else stands as it is written.
Nothing is looked over where the wording itself may be what is asked about: see ``wordings``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product

from headgate_gateway.wordings import is_about_its_wording

LONGEST = 2000
"""A longer text is a document: nothing but the very same one is the same (characters)."""

_LAID_OUT = re.compile(r"[^\S ]|```")
"""Lines, columns and code: there blanks and the smallest words may mean something."""
_PIECE = re.compile(r"(?:\"[^\"]*\"|`[^`]*`|[^\s\"`])+|\S")
"""What stands between blanks; quoted text with its blanks."""
_MARKED = re.compile(r"(.*[^\W\d_\"')\]}`])([.,;:?!]+)|(.*[\w\"')\]}`%])([.,;:?]+)")
"""A piece with the marks of a sentence behind it; ``5!`` is a number of its own."""
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_PERCENT = re.compile(r"(\d[\d.,]*)(%)")
_GREETINGS = frozenset({"hi", "hello", "hey", "please", "thanks"})
_MARKS = frozenset(".,;:?!")
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


_GREETED = _phrases("hi|hello|hey|thanks|please", "thank you")
"""Politeness of its own: at the beginning with a mark behind it, or at the end with one before."""
_OPENINGS = _phrases(
    "please|kindly",
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
"""Politeness that a question begins with."""
_HOW = _phrases(
    "how do|can|could|would|should i|we|one",
    "how does one",
    "how to",
    "what is|are the best|right|correct|easiest|- way|ways|steps|procedure|process to|for",
)
_EMPTY = "a an the of is are am be my our just actually really exactly currently"
_NOTHING = frozenset(_EMPTY.split())
_ARTICLES = frozenset({"a", "an", "the"})
_MEASURED = frozenset({"few", "little", "most", "number", "bit", "lot"})
"""With an article before them they mean another amount."""
_YES_OR_NO = frozenset({"is", "are", "am"})
"""At the beginning they make a question of what would be a statement without them."""
_SAME = {
    "we": "i",
    "does": "do",
    "were": "was",
    "has": "have",
    "ought": "should",
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
_OTHERWISE = (
    "arms contents customs damages forces glasses goods manners means minutes news papers savings "
    "spirits times works"
)
_NO_PLURALS = frozenset(_OTHERWISE.split())
"""They mean something else without their last letter."""
_COUNT = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
)
_NUMBERS = {word: str(value) for value, word in enumerate(_COUNT.split())}
_QUOTES = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'}


def essentials(text: str) -> tuple[str, ...]:
    """The words that count, in their order; only equal tuples may be the same question."""
    written = text.strip()
    if len(written) > LONGEST or _LAID_OUT.search(written):
        return (written,)
    plain = unicodedata.normalize("NFC", written).translate(_QUOTES)
    opening, asking = _parted(list(_words(plain)))
    words = _how(asking)
    if is_about_its_wording(plain, opening, words):
        return (written,)
    asked = ("whether",) if words and words[0] in _YES_OR_NO else ()
    kept = [w for n, w in enumerate(words) if not _says_nothing(w, words[n + 1 : n + 2])]
    canonical = tuple(map(_canonical, kept))
    told_apart = len(set(canonical)) < len({"do" if w == "does" else w for w in kept})
    return (written,) if told_apart else (*asked, *canonical)


def _words(text: str) -> Iterator[str]:
    """Words in lower case unless they are names, contractions written out, and marks."""
    start = True
    for piece in _PIECE.findall(text):
        found = _MARKED.fullmatch(piece)
        word, marks = (found[1] or found[3], found[2] or found[4]) if found else (piece, "")
        if _WORD.fullmatch(word):
            yield from _written_out(_cased(word, start)) if "'" in word else (_cased(word, start),)
        else:
            percent = _PERCENT.fullmatch(word)
            yield from percent.groups() if percent else (word,)
        yield from marks[:1]
        start = marks[:1] in _ENDS or (start and word.casefold() in _GREETINGS)


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    """The politeness before a question; the question without that behind it, and its end mark."""
    begin, end = 0, len(words)
    while (size := _opening(words, begin)) and begin + size < end:
        begin += size
    while begin < end - 1 and words[end - 1] in _MARKS:
        end -= 1
    for phrase in _GREETED:
        before = end - len(phrase)
        if (
            before > begin + 1
            and tuple(words[before:end]) == phrase
            and words[before - 1] in ",.?!"
        ):
            return words[:begin], words[begin : before - 1]
    return words[:begin], words[begin:end]


def _opening(words: list[str], at: int) -> int:
    """How many words there are politeness, with the mark behind them."""
    for phrases, needs_mark in ((_GREETED, True), (_OPENINGS, False)):
        for phrase in phrases:
            after = at + len(phrase)
            if tuple(words[at:after]) == phrase:
                marked = after < len(words) and words[after] in _MARKS
                if marked or not needs_mark:
                    return len(phrase) + marked
    return 0


def _how(words: list[str]) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(words):
        phrase = next((p for p in _HOW if tuple(words[place : place + len(p)]) == p), None)
        found += ("how to",) if phrase else (words[place],)
        place += len(phrase) if phrase else 1
    return found


def _says_nothing(word: str, following: Sequence[str]) -> bool:
    """An article says nothing before a word: ``a`` may also be a letter of a formula."""
    if word not in _ARTICLES:
        return word in _NOTHING
    return any(w.isalpha() and w not in _MEASURED for w in following) or (
        word != "a" and not _MEASURED.intersection(following)
    )


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


def _canonical(word: str) -> str:
    if _THOUSANDS.fullmatch(word):
        return word.replace(",", "")
    word = _SAME.get(word, _NUMBERS.get(word, word))
    if (
        word.isalpha()
        and word.islower()
        and len(word) > 3
        and word not in _NO_PLURALS
        and not word.endswith(("ss", "us", "is"))
    ):
        singular = word[:-3] + "y" if word.endswith("ies") else word.removesuffix("s")
        return _SAME.get(singular, singular)
    return word
