"""How much of the answer's wording stands in the passages that it cites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.types import Sample, Score
from headgate_evals.text import content_bigrams

NAME = "lexical_grounding"


@dataclass(frozen=True, slots=True)
class LexicalGrounding:
    """Share of the answer's content bigrams that are found in the passages it cites, 0 to 1.

    A content bigram is a pair of consecutive words within one sentence, lower-cased, after
    citation markers and stop words were removed. Every occurrence in the answer counts; it is
    found when the same pair stands anywhere in the text of a cited passage.
    """

    version: ClassVar[str] = "1"

    async def score(self, sample: Sample) -> Sequence[Score]:
        """One score, or the first reason that applies for having none.

        ``refused``, ``no_context`` (no passages), ``not_captured`` (no text), ``no_answer``
        (no bigrams in the answer), ``no_citation`` (it cites no passage).
        """
        reason = self._reason(sample)
        bigrams = [] if reason else list(content_bigrams(sample.answer or ""))
        cited = [sample.passages[n - 1] for n in sample.cited if 0 < n <= len(sample.passages)]
        if not reason and not bigrams:
            reason = "no_answer"
        if not reason and not cited:
            reason = "no_citation"
        if reason:
            return (Score(NAME, None, reason, self.version),)
        known = {bigram for passage in cited for bigram in content_bigrams(passage.text)}
        found = sum(bigram in known for bigram in bigrams)
        details = {"bigrams": len(bigrams), "found": found, "passages": len(cited)}
        return (Score(NAME, found / len(bigrams), "", self.version, details),)

    @staticmethod
    def _reason(sample: Sample) -> str:
        if sample.refused:
            return "refused"
        if not sample.passages:
            return "no_context"
        return "not_captured" if sample.answer is None else ""
