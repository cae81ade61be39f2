"""How sure the extractive model is that the passages answer a question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from rag_fakes import WordEmbedder

from headgate_core.types import Passage
from headgate_rag import answering
from headgate_rag.statements import statements

QUESTION = "Does a hard budget refuse calls after the quarter?"


def passage(heading: str, text: str) -> Passage:
    return Passage(heading, "docs/a.md", text, 0, len(text), title="Guide", heading=(heading,))


def confidence(passages: Sequence[Passage]) -> float:
    model = WordEmbedder(size=2048)

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return model.encode(texts)

    stated = [s for number, p in enumerate(passages, start=1) for s in statements(number, p)]
    return asyncio.run(answering.Reading(passages, stated, embed).judge(QUESTION)).confidence


def test_words_asked_for_count_wherever_among_the_best_passages_they_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = passage("Budgets", "A hard budget refuses calls once it is spent.")
    completing = passage("Accounts", "Accounts close at the end of the quarter.")
    together = confidence([first, completing])
    monkeypatch.setattr(answering, "TOGETHER", 1)
    assert together > confidence([first, completing]) + 0.05


def test_what_no_passage_mentions_makes_an_answer_less_sure() -> None:
    whole = passage("Budgets", "A hard budget refuses calls after the quarter.")
    lacking = passage("Budgets", "A hard budget refuses calls once it is spent.")
    assert confidence([whole]) > confidence([lacking])


def test_without_passages_nothing_is_sure() -> None:
    assert confidence([]) == 0.0
