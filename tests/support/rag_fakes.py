"""Embedding models for tests of the index process: no weights, vectors made from words."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from headgate_rag.nearness import Nearness
from headgate_rag.words import content_words


@dataclass
class WordEmbedder:
    """Texts that share words are near each other. ``spoil`` makes it misbehave."""

    name: str = "words"
    size: int = 64
    spoil: str = ""

    @property
    def fingerprint(self) -> str:
        return f"{self.name}-{self.size}"

    @property
    def dimension(self) -> int:
        return self.size

    def load(self) -> None:
        pass

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        vectors = [self._vector(text) for text in texts]
        if self.spoil == "short":
            return vectors[:-1]
        if self.spoil == "dimension":
            return [[*vector, 0.0] for vector in vectors]
        if self.spoil == "nan":
            return [[math.nan] * self.size for _ in vectors]
        return vectors

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.size
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(f"{self.name} {word}".encode()).digest()
            vector[int.from_bytes(digest[:4], "big") % self.size] += 1.0
        length = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / length for x in vector]


_TOKEN = re.compile(r"[^\W_]+|[^\w\s]")


def compared(question: str, texts: Sequence[str]) -> Nearness:
    """Like a real model's: near for a word of the text's, far for others, between for the rest."""
    spans = [match.span() for match in _TOKEN.finditer(question)]
    asked = [content_words(question[a:b]) for a, b in spans]
    held = [set(content_words(text)) for text in texts]
    rows = [[_cosine(words, own) for words in asked] for own in held]
    return Nearness(spans, rows)


def _cosine(words: Sequence[str], held: set[str]) -> float:
    if not words:
        return 0.7  # "the", "how", a question mark: every text has something like it
    return 0.95 if set(words) <= held else 0.2
