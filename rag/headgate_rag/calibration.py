"""The numbers of the extractive model: what each piece of evidence weighs, and their source.

``RANKING`` orders the passages; ``CONFIDENCE`` and ``OFFSET`` say how sure one may be that the best
statement answers. Names stand beside the numbers; ``answering.py`` computes the evidence.

Source of the ranking: conditional logistic regression on 239 questions; its last member was chosen
by trial among 0 to 20. Source of the confidence: logistic regression with a ridge of 1 on
standardised evidence, on 353 questions about technical documentation with an answer in it and 167
without one, in 15 sets over five collections, embedded with all-MiniLM-L6-v2. With each set in
turn left out of the fit, and the provider's default options, 77 to 79 % of the former cited the
right section (two versions of the pages) and 3 to 4 % of the latter were answered; of the 125
among these that were not written to mislead, 2 %. Rarity of words counted over a whole collection
instead of the passages of a call gained nothing that could be told from chance.
"""

from __future__ import annotations

from collections.abc import Mapping

RANKING: Mapping[str, float] = {
    "passage": 2.32,
    "statement": 2.44,
    "heading": 2.66,
    "heading_words": 1.62,
    "words": 2.09,
    "rank": 1.82,
    "told": 8.0,
}
"""Similarity in meaning of the passage, its best statement and its heading; the share of the
question's words in the heading and in all of it; one over its rank; how near, word by word, the
passage comes to the question."""

CONFIDENCE: Mapping[str, float] = {
    "told": 9.11,
    "weakest": 9.57,
    "heading": 2.2,
    "focus": 1.59,
    "length": 3.66,
    "unknown": -4.72,
    "kind": -2.93,
}
"""Of the best passage: how near it comes to the question's words, to the third of the question's
tokens that it is farthest from, with its heading, and to the word that ``which`` asks for. Of the
question: the logarithm of its length in tokens, names that no passage mentions, and whether it asks
for a kind of fact that the statement does not hold."""

OFFSET = -18.49
"""The constant of the regression."""
