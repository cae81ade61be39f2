"""The vectors of the tokens of texts read before, within a bound of bytes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from headgate_rag.types import Tokens

MOST_BYTES = 64 * 1024 * 1024
"""Bytes of vectors kept at most: about 800 passages of 100 tokens with 384 dimensions."""


class TokenMemory:
    """A bounded store of ``Tokens`` by model and text; the least recently used goes first.

    Only digests of the texts are kept, never the texts.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._held: OrderedDict[bytes, Tokens] = OrderedDict()
        self.bytes = 0

    def missing(self, model: str, texts: Sequence[str]) -> list[str]:
        """The distinct texts that are not known, short ones first: equal lengths batch well."""
        unknown = {text for text in texts if _key(model, text) not in self._held}
        return sorted(unknown, key=lambda text: (len(text), text))

    def keep(self, model: str, texts: Sequence[str], tokens: Sequence[Tokens]) -> None:
        """Remember the tokens of each text."""
        for text, read in zip(texts, tokens, strict=True):
            key = _key(model, text)
            self._forget(key)
            self._held[key] = read
            self.bytes += read.vectors.nbytes

    def tokens(self, model: str, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of texts that are all known, in order; then drops what is over the bound."""
        found = []
        for text in texts:
            key = _key(model, text)
            self._held.move_to_end(key)
            found.append(self._held[key])
        while self.bytes > self._most:
            self._forget(next(iter(self._held)))
        return found

    def _forget(self, key: bytes) -> None:
        if key in self._held:
            self.bytes -= self._held.pop(key).vectors.nbytes


def _key(model: str, text: str) -> bytes:
    return hashlib.sha256(f"{model}\0{text}".encode()).digest()
