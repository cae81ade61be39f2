"""Vectors of texts embedded before: the sentences of the same passages come again and again."""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence

MOST = 20_000
"""Vectors kept at most: about 1.5 kB each with 384 dimensions, so 30 MB."""


class Remembered:
    """A bounded store of vectors by model and text; the least recently used goes first.

    Only digests of the texts are kept. Vectors are 32-bit floats, as the models make them.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._vectors: OrderedDict[bytes, array[float]] = OrderedDict()

    def missing(self, model: str, texts: Sequence[str]) -> list[str]:
        """The distinct texts without a vector, short ones first: equal lengths batch well."""
        unknown = {t for t in texts if _key(model, t) not in self._vectors}
        return sorted(unknown, key=lambda t: (len(t), t))

    def keep(self, model: str, texts: Sequence[str], vectors: Sequence[Sequence[float]]) -> None:
        """Remember one vector a text."""
        for text, vector in zip(texts, vectors, strict=True):
            self._vectors[_key(model, text)] = array("f", vector)

    def vectors(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts that are all known, in order; then drops what is over the bound."""
        found = []
        for text in texts:
            key = _key(model, text)
            self._vectors.move_to_end(key)
            found.append(self._vectors[key].tolist())
        while len(self._vectors) > self._most:
            self._vectors.popitem(last=False)
        return found


def _key(model: str, text: str) -> bytes:
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()
