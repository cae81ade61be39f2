"""Neighbouring texts in a list of content: how a model reads them, and how they become one."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate_core.types import Replaced

_ENDS_WORD = re.compile(r"[^\s:=,;!?\"'`()<>\[\]{}|]\Z")
_BEGINS_WORD = re.compile(r"[^\s:=,;!?\"'`()<>\[\]{}|]")
_ENDS_NUMBER = re.compile(r"\d[ -]?\Z")
_BEGINS_NUMBER = re.compile(r"[ -]?\d")

WAYS: Sequence[frozenset[int]] = tuple(map(frozenset, ((0,), (1,), (0, 1), ())))
"""Which borders between texts count as places inside a word: those with an even or odd number, all,
or none. So a word that is cut in two is put together without what stands around it."""


@dataclass(slots=True)
class Run:
    """Parts from number ``start`` on of a list of content, which nothing but text lies between."""

    start: int
    texts: list[str]
    text: str = ""
    """All of them in one, after ``join``."""
    _begins: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    def join(self, way: frozenset[int]) -> None:
        """Put the texts together where ``way`` lets a border lie in a word, else by line ends.

        A name at the end of one text and a value at the start of the next say nothing of each
        other.
        """
        pieces: list[str] = []
        before, border, at = "", 0, 0
        for text in self.texts:
            if before and text:
                if border % 2 not in way or not _one_word(before, text):
                    pieces.append("\n")
                    at += 1
                border += 1
            pieces.append(text)
            self._begins.append(at)
            at += len(text)
            self._ends.append(at)
            before = text or before
        self.text = "".join(pieces)

    def merged(self, replaced: Sequence[Replaced], parts: Sequence[Any]) -> Iterator[Any]:
        """The ``parts`` of this run after it; those that one replacement touches become one."""
        groups: list[tuple[int, int, list[Replaced]]] = []
        for one in replaced:
            first = min(bisect_right(self._ends, one.start), len(parts) - 1)
            last = max(first, bisect_left(self._begins, one.end) - 1)
            if groups and first <= groups[-1][1]:
                first, _, before = groups.pop()
                groups.append((first, last, [*before, one]))
            else:
                groups.append((first, last, [one]))
        at = 0
        for first, last, ones in groups:
            yield from parts[at:first]
            yield _as_one(parts[first : last + 1], self._said(first, last, ones))
            at = last + 1
        yield from parts[at:]

    def _said(self, first: int, last: int, replaced: Sequence[Replaced]) -> str:
        return applied(self.text, replaced, self._begins[first], self._ends[last])


def runs_of(content: Sequence[Any]) -> list[Run]:
    """The runs of a list of content that have more than one text."""
    found: list[Run] = []
    texts: list[str] = []
    for n, part in enumerate([*content, {}]):
        said = part.get("text") if isinstance(part, dict) else part
        if isinstance(said, str):
            texts.append(said)
            continue
        if len(texts) > 1:
            found.append(Run(n - len(texts), texts))
        texts = []
    return found


def applied(text: str, replaced: Sequence[Replaced], begin: int, end: int) -> str:
    """``text[begin:end]`` with what is replaced in it."""
    pieces: list[str] = []
    for one in replaced:
        pieces += [text[begin : one.start], one.text]
        begin = one.end
    return "".join([*pieces, text[begin:end]])


def _as_one(parts: Sequence[Any], text: str) -> Any:
    """One part that says ``text`` in the place of all of them."""
    if all(isinstance(part, dict) for part in parts):
        return {**{k: v for part in parts for k, v in part.items()}, "text": text}
    return text


def _one_word(before: str, after: str) -> bool:
    tail = before[-2:]
    if _ENDS_NUMBER.search(tail) and _BEGINS_NUMBER.match(after):
        return True
    return bool(_ENDS_WORD.search(tail) and _BEGINS_WORD.match(after))
