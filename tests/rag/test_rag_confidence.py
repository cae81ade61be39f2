"""How sure the extractive model is that the passages answer a question."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rag_fakes import WordEmbedder, compared

from headgate_core.types import Passage
from headgate_rag import answering
from headgate_rag.nearness import Nearness
from headgate_rag.statements import statements

QUESTION = "Does a hard budget refuse calls after the quarter?"


def passage(heading: str, text: str) -> Passage:
    return Passage(heading, "docs/a.md", text, 0, len(text), title="Guide", heading=(heading,))


def judged(passages: Sequence[Passage], question: str = QUESTION) -> answering.Judgement:
    model = WordEmbedder(size=2048)

    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return model.encode(texts)

    async def compare(asked: str, texts: Sequence[str]) -> Nearness:
        return compared(asked, texts)

    stated = [s for number, p in enumerate(passages, start=1) for s in statements(number, p)]
    return asyncio.run(answering.Reading(passages, stated, embed, compare).judge(question))


WHOLE = passage("Budgets", "A hard budget refuses calls after the quarter.")


def test_words_asked_for_count_where_the_answer_stands_and_not_elsewhere() -> None:
    parted = [
        passage("Budgets", "A hard budget refuses calls once it is spent."),
        passage("Accounts", "Accounts close after the quarter."),
    ]
    whole, apart = judged([WHOLE, parted[1]]).confidence, judged(parted).confidence
    assert 1 - apart > 3 * (1 - whole)


def test_what_the_passage_does_not_mention_makes_an_answer_less_sure() -> None:
    lacking = passage("Budgets", "A hard budget refuses calls once it is spent.")
    assert judged([WHOLE]).confidence > judged([lacking]).confidence


def test_the_passage_that_tells_most_words_of_the_question_comes_first() -> None:
    other = passage("Calls", "Calls have a budget. A refused call is listed. Quarters are listed.")
    for passages in ([other, WHOLE], [WHOLE, other]):
        best = judged(passages).ranked[0].statement
        assert passages[best.number - 1] is WHOLE


def test_without_passages_nothing_is_sure() -> None:
    assert judged([]).confidence == 0.0


def test_a_question_that_asks_for_nothing_is_never_answered() -> None:
    assert judged([WHOLE], "Why not?").confidence == 0.0
