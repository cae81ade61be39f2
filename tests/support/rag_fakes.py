"""Embedding models for tests of the index process: no weights, vectors made from words."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass


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
