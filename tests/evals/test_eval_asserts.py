from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from headgate_core.types import Passage
from headgate_evals.asserts import promptfoo
from headgate_evals.asserts.base import CannotTell, Delivered
from headgate_evals.asserts.registry import decide
from headgate_evals.suite import SuiteAssert

PASSAGES = (
    Passage("1", "docs/retries.md", "…", 0, 1, heading=("Routing", "Retries")),
    Passage("2", "docs/guardrails.md", "…", 0, 1, anchor="how-streams-are-held-back"),
)


def holds(answer: str = "", delivered: dict[str, Any] | None = None, **expected: Any) -> bool:
    given = Delivered(answer, PASSAGES, **(delivered or {}))
    return decide(SuiteAssert.model_validate(expected), given).passed


@pytest.mark.parametrize(
    ("type_", "value", "passes"),
    [
        ("contains", "14 days", True),
        ("contains", "14 Days", False),
        ("contains", 14, True),
        ("contains", Decimal("1.50"), True),
        ("icontains", "14 DAYS", True),
        ("icontains", "STRASSE", True),
        ("icontains", "15 days", False),
        ("regex", r"\d+ days?\b", True),
        ("regex", r"^days", False),
        ("regex", r"DAYS", False),
    ],
)
def test_text_assertions_and_their_negations(type_: str, value: Any, passes: bool) -> None:
    answer = "Within 14 days, for $1.50, in any Straße."
    assert holds(answer, type=type_, value=value) is passes
    assert holds(answer, type=f"not-{type_}", value=value) is not passes


@pytest.mark.parametrize(
    ("answer", "expected", "passes"),
    [
        ("By the pool [1].", {}, True),
        ("By the pool [1, 2].", {}, True),
        ("By the pool.", {}, False),
        ("By the pool [3].", {}, False),
        ("By the pool [1][0].", {}, False),
        ("By the pool [1][2].", {"value": [1, 2]}, True),
        ("By the pool [1].", {"value": [1, 2]}, False),
        ("By the pool [1].", {"value": 1}, True),
        ("By the pool [1].", {"section": "retries"}, True),
        ("By the pool [1].", {"section": "routing > retries"}, True),
        ("By the pool [2].", {"section": "Retries"}, False),
        ("By the pool [2].", {"section": "How streams are held back"}, True),
        ("By the pool [2].", {"document": "docs/Guardrails.md"}, True),
        ("By the pool [1].", {"document": "docs/guardrails.md"}, False),
        ("By the pool [1][2].", {"document": "guardrails", "section": "Retries"}, False),
        ("By the pool [1].", {"document": "retries", "section": "Retries"}, True),
    ],
)
def test_cites_looks_at_markers_numbers_documents_and_sections(
    answer: str, expected: dict[str, Any], passes: bool
) -> None:
    assert holds(answer, type="cites", **expected) is passes
    assert holds(answer, type="not-cites", **expected) is not passes


@pytest.mark.parametrize(
    "answer",
    [
        "The documents do not answer this question.",
        "The sources do not say who the chief executive is.",
        "Our documentation doesn't mention a chief executive.",
        "The provided passages do not contain that information.",
        "The context does not explicitly state this.",
        "There is no information about that in the documents.",
        "That is not mentioned in the provided sources.",
        "I cannot help with that request.",
        "I can\u2019t assist with that.",
        "I'm unable to help with this.",
        "I'm sorry, but I can't do that.",
        "I do not have enough information to tell.",
        "I don't know.",
        "This request was blocked by a policy.",
    ],
)
def test_answers_that_decline_are_recognised(answer: str) -> None:
    assert holds(answer, type="is-refusal")
    assert not holds(answer, type="not-is-refusal")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Retries are decided by the pool [1].",
        "Documents do not have to be Markdown: plain text is read too [1].",
        "The record does not contain the text of a message [1].",
        "A guard that cannot run blocks the call [1].",
        "A stream is not held back when no check looks at the output [2].",
        "Sources are files and folders; answers cite them [1].",
    ],
)
def test_answers_that_answer_are_not(answer: str) -> None:
    assert not holds(answer, type="is-refusal")


def test_a_guards_refusal_is_one_whatever_its_text_says() -> None:
    assert holds("Please ask something else.", {"refused": True}, type="is-refusal")


def test_latency_is_in_milliseconds_and_may_reach_its_threshold() -> None:
    assert holds("", {"total_s": 0.5}, type="latency", threshold=500)
    assert not holds("", {"total_s": 0.501}, type="latency", threshold=500)
    assert holds("", {"total_s": 0.501}, type="not-latency", threshold=500)


def test_cost_is_compared_exactly_in_dollars() -> None:
    assert holds("", {"cost_pico": 100_000_000}, type="cost", threshold=Decimal("0.0001"))
    assert not holds("", {"cost_pico": 100_000_001}, type="cost", threshold=Decimal("0.0001"))
    assert holds("", {"cost_pico": 0}, type="cost", threshold=0)


@pytest.mark.parametrize("type_", ["cost", "not-cost"])
def test_an_unknown_price_neither_passes_nor_fails(type_: str) -> None:
    with pytest.raises(CannotTell, match="no price"):
        holds("", {"cost_pico": None}, type=type_, threshold=1)


def test_all_types_that_users_may_bring_along_are_known_by_name() -> None:
    assert len(promptfoo.BASE_TYPES) == 65
    assert promptfoo.is_known("assert-set")
    assert promptfoo.is_known("promptfoo:redteam:pii")
    assert not promptfoo.is_known("cites")
