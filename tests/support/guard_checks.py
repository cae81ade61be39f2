"""Checks for tests, as somebody outside would write them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.types import At, Span


@dataclass
class Words:
    """Finds one word; knows nothing of streams."""

    window = 12

    async def find(self, text: str, at: At) -> list[Span]:
        return [Span(m.start(), m.end(), "word") for m in re.finditer(r"\bcard\b", text)]


@dataclass
class Pairs:
    """Finds digits two by two, so that where it begins to read decides what it finds."""

    window = 8

    async def find(self, text: str, at: At) -> list[Span]:
        return [Span(m.start(), m.end(), "pair") for m in re.finditer(r"7\d", text)]


@dataclass
class Whole:
    """Judges what it is shown as one, like a classifier: the span is all of it."""

    window = 40

    async def find(self, text: str, at: At) -> list[Span]:
        return [Span(0, len(text), "mood")] if text.count("!") >= 3 else []


@dataclass
class Broken:
    """Fails, and quotes the text in its error, as careless code does."""

    window = 20

    async def find(self, text: str, at: At) -> list[Span]:
        raise ValueError(f"cannot judge {text!r}")


@dataclass
class Hanging:
    """Never answers."""

    window = 20

    async def find(self, text: str, at: At) -> list[Span]:
        await asyncio.Event().wait()
        return []


@dataclass
class Meeting:
    """Answers once as many checks of its kind as ``parties`` are at work at the same time."""

    parties: int = 2
    name: str = ""

    window = 20
    _waiting: ClassVar[list[asyncio.Event]] = []

    async def find(self, text: str, at: At) -> list[Span]:
        event = asyncio.Event()
        self._waiting.append(event)
        if len(self._waiting) == self.parties:
            for waiting in self._waiting:
                waiting.set()
            self._waiting.clear()
        await event.wait()
        return []


@dataclass
class Counting:
    """Counts how often it was asked; finds nothing."""

    window = 20
    asked: ClassVar[list[str]] = []

    async def find(self, text: str, at: At) -> list[Span]:
        self.asked.append(text)
        return []


@dataclass
class Outside:
    """Claims a finding beyond the text."""

    window = 20

    async def find(self, text: str, at: At) -> list[Span]:
        return [Span(0, len(text) + 1, "lie")]


@dataclass
class Judge:
    """Says yes or no to a text as a whole; does not know where."""

    window = 20
    gives_spans: ClassVar[bool] = False

    async def find(self, text: str, at: At) -> list[Span]:
        return [Span(0, len(text), "judged")]


@dataclass
class NoCheck:
    """Lacks what a check needs."""
