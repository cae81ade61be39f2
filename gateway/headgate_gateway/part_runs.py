"""Neighbouring texts in a list of content: how a model reads them, and how they become one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headgate_gateway.caller_texts import Run

_ENDS_WORD = re.compile(r"[^\s:=,;!?\"'`()<>\[\]{}|]\Z")
_BEGINS_WORD = re.compile(r"[^\s:=,;!?\"'`()<>\[\]{}|]")
_ENDS_NUMBER = re.compile(r"\d[ -]?\Z")
_BEGINS_NUMBER = re.compile(r"[ -]?\d")


def glued(texts: Sequence[str]) -> str:
    """The texts joined where a border may lie inside a word or a number, elsewhere by line ends.

    A name at the end of one text and a value at the start of the next say nothing of each other.
    """
    pieces: list[str] = []
    before = ""
    for text in texts:
        if before and text:
            pieces.append("" if _one_word(before, text) else "\n")
        pieces.append(text)
        before = text or before
    return "".join(pieces)


def as_one(run: Run, text: str) -> None:
    """Put one part with ``text`` in the place of all of them."""
    parts = run.content[run.start : run.end]
    if all(isinstance(part, dict) for part in parts):
        merged = {k: v for part in parts for k, v in part.items()}
        run.content[run.start : run.end] = [{**merged, "text": text}]
    else:
        run.content[run.start : run.end] = [text]


def _one_word(before: str, after: str) -> bool:
    tail = before[-2:]
    if _ENDS_NUMBER.search(tail) and _BEGINS_NUMBER.match(after):
        return True
    return bool(_ENDS_WORD.search(tail) and _BEGINS_WORD.match(after))
