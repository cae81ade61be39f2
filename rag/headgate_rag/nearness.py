"""How near each word of a question comes to each of some texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headgate_rag.words import surface_words

WEAKEST = 3
"""One in so many of a question's tokens counts as its weakest part."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """``spans``: the question's tokens; ``nearest``: for each text, one cosine (-1..1) a token.

    A cosine is that of the token and whatever token of the text comes nearest to it.
    """

    spans: Sequence[tuple[int, int]]
    nearest: Sequence[Sequence[float]]

    def words(self, question: str, but: Sequence[str]) -> list[tuple[str, list[int]]]:
        """The words that carry meaning, without those in ``but``, each with its tokens.

        All such words where no others are left, and any words where there are none of these.
        """
        every = self._words(question)
        telling = [pair for pair in every if surface_words(pair[0])]
        return [pair for pair in telling if pair[0] not in but] or telling or every

    def _words(self, question: str) -> list[tuple[str, list[int]]]:
        found: list[tuple[str, list[int]]] = []
        end = -1
        for number, (start, stop) in enumerate(self.spans):
            piece = question[start:stop].lower()
            if not piece[:1].isalnum():
                end = -1
                continue
            if start == end:
                word, tokens = found[-1]
                found[-1] = word + piece, [*tokens, number]
            else:
                found.append((piece, [number]))
            end = stop
        return found

    def of_words(self, text: int, words: Sequence[tuple[str, list[int]]]) -> list[float]:
        """How near text number ``text`` comes to each word: the mean over its tokens."""
        row = self.nearest[text]
        return [sum(row[n] for n in tokens) / len(tokens) for _, tokens in words]

    def weakest(self, text: int) -> float:
        """How near the text comes to the third of the tokens that it is farthest from."""
        row = sorted(self.nearest[text])
        part = row[: max(1, len(row) // WEAKEST)]
        return sum(part) / len(part) if part else 0.0
