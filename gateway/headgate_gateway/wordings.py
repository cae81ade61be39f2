"""Whether a message may be about its own wording: then another wording is another question.

Only a plain question is asked for its meaning. An order acts upon what it names, a statement may
be a text to work upon, and so may all that stands in quotation marks, behind a colon, behind a
dash, or after the question. Questions about language, and about a thing by its name, have words
of their own. Where this errs, the model is asked once more than needed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUOTED = re.compile(r"\"[^\"]*\"|`[^`]*`|(?<!\w)'[^\s'].*?'(?!\w)|[«»„\u201a\u2039\u203a「『]")
_GIVEN_TEXT = re.compile(r"(?:[:?\u2013\u2014]|(?<= )-) +[^\W\d]|[^\W\d_]:[^\W\d_]")
"""What a text to work upon stands behind; a clock's colon or a minus has a digit behind it."""
_QUESTIONS = frozenset(
    {"what", "who", "whom", "whose", "which", "where", "when", "why", "how", "how to"}
    | {"is", "are", "am", "was", "were", "do", "does", "did", "has", "have", "had"}
    | {"can", "could", "should", "shall", "will", "would", "may", "might", "must"}
)
"""What an English question begins with; a preposition may stand before it."""
_PREPOSITIONS = frozenset({"at", "by", "for", "from", "in", "of", "on", "to", "under", "with"})
_REQUESTS = frozenset({"can", "could", "will", "would"})
"""With ``you`` behind them they begin an order."""
_TOLD = frozenset({"tell", "know", "explain", "understand", "wonder", "wondering"})
"""Politeness that makes a question of what follows, whatever that begins with."""

_LANGUAGE = (
    r"(?:\w{2,}(?:[lndt]ish|uese|nese|lian|sian|nian)|german|french|dutch|greek|latin|arabic|hindi"
    r"|korean|czech|thai|roman numerals)"
)
_THING = (
    r"(?:named|called|(?:table|column|file|folder|branch|variable|function|class|method|package"
    r"|module|field|tag)s?|director(?:y|ies)|branches|classes)"
)
_LINKS = (
    r"(?:a|an|the|my|our|is|are|was|were|of|for|in|on|at|to|from|with|by|and|or|that|which|i|we|you"
    r"|it|do|does|not|as|be|can|could|should|will|would|have|has|if|when|than|into|over|after"
    r"|before|this|open)"
)
_ABOUT_WORDS = re.compile(
    r"\b(?:words?|wording|letters?|characters?|phrases?|sentences?|strings?|tenses?|pro-?nouns?"
    r"|nouns?|verbs?|ad(?:verb|jective)s?|commas?|say|sounds?|texts?|write|written|(?:in)?correct"
    r"|(?:in)?formal|wrong|opposite|shorten|(?:end|start|begin)s? (?:with|in)"
    r"|(?:translat|spell|spelt|misspel|gramma|(?:syn|ant|hom)onym|rhym|syllab|plural|singular"
    r"|pronounc|pronunciat|conjugat|vowel|consonant|anagram|palindrom|punctuat|capitali[sz]"
    r"|proofread|paraphras|rephras|reword|rewrit|typo|regex|apostroph|hyphen|prefix|suffix"
    r"|abbreviat|alphabet|idiom|etymolog|slang|lowercase|uppercase)\w*"
    r"|(?:from|in|of|to|with) (?:he|i|she|they|we)"
    rf"|(?:is|are) right|right(?= ?[,;]|$)|(?:in|into) {_LANGUAGE}|{_LANGUAGE} for"
    rf"|{_THING} (?!{_LINKS}\b)[^\W\d]\w*|(?!{_LINKS}\b)\w+s {_THING})(?!\w)"
)
"""Words about language, sentences within one, and names; in lower case, one blank between words."""
_TASK = re.compile(
    r"\b(?:translat|proofread|paraphras|re-?phras|reword|rewrit|spell-?check|übersetz|korrigier"
    r"|umformulier|tradui|traduc|traduz|corrig|corrij|corregg|reformul)"
    r"|\b(?:check|correct|fix|improve)\w* (?:\S+ ){0,3}"
    r"(?:english|grammar|sentence|spelling|style|text|wording)",
    re.IGNORECASE,
)


def sets_a_task_of_wording(text: str) -> bool:
    """Whether an earlier message asks to work upon the texts that follow it."""
    return _TASK.search(text) is not None


def is_about_its_wording(text: str, opening: Sequence[str], words: Sequence[str]) -> bool:
    """Whether ``text`` must be compared as it stands.

    ``words`` are those of the question, and ``opening`` is the politeness that stood before them.
    """
    joined = " ".join(words)
    return (
        not _is_question(opening, words)
        or _QUOTED.search(text) is not None
        or _GIVEN_TEXT.search(joined) is not None
        or _ABOUT_WORDS.search(joined.casefold()) is not None
    )


def _is_question(opening: Sequence[str], words: Sequence[str]) -> bool:
    first, second = (*words[:2], "", "")[:2]
    if first in _REQUESTS and second == "you":
        return False
    asked = second if first in _PREPOSITIONS else first
    return asked in _QUESTIONS or not _TOLD.isdisjoint(opening)
