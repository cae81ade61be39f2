"""Which of the ranked statements the extractive model quotes."""

from __future__ import annotations

from headgate_rag.answering import Scored, choose
from headgate_rag.statements import Statement


def test_several_passages_are_quoted_before_more_of_one() -> None:
    texts = [(1, "Keys expire."), (1, "Teams pay."), (2, "Budgets end."), (3, "Far off.")]
    ranked = [
        Scored(Statement(number, text, "", 0), score, 0, 0)
        for (number, text), score in zip(texts, (9.0, 8.9, 8.5, 2.0), strict=True)
    ]
    assert [s.number for s in choose(ranked, 2, 3.0)] == [1, 2]
    assert [s.text for s in choose(ranked, 3, 3.0)] == [
        "Keys expire.",
        "Teams pay.",
        "Budgets end.",
    ]


def test_repetitions_are_not_quoted_twice() -> None:
    def scored(number: int, text: str, score: float, at: int = 0) -> Scored:
        return Scored(Statement(number, text, "", at), score, 0, 0)

    ranked = [
        scored(2, "A call is tried twice.", 0.9, 50),
        scored(1, "Each call is tried twice.", 0.89),
        scored(2, "Waiting grows with every try.", 0.85, 10),
        scored(3, "Keys expire.", 0.2),
    ]
    assert [s.text for s in choose(ranked, 3, 0.1)] == [
        "Waiting grows with every try.",
        "A call is tried twice.",
    ]
