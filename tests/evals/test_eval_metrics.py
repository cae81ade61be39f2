from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headgate_core import plugins
from headgate_core.types import Passage, Sample, Score, Usage
from headgate_evals.text import content_bigrams, markers


def score(metric: str, sample: Sample) -> dict[str, Score]:
    scores = asyncio.run(plugins.build("metrics", metric).score(sample))
    return {s.metric: s for s in scores}


def sample(**members: Any) -> Sample:
    given = {"call_id": "c", "route": "r", "question": "q", "answer": "a", **members}
    return Sample(**given)


def passage(text: str) -> Passage:
    return Passage("p", "d.md", text, 0, len(text))


def grounding(answer: str | None, *passages: str, cited: tuple[int, ...] = (1,)) -> Score:
    texts = [passage(text) for text in passages]
    found = sample(answer=answer, passages=texts, cited=cited)
    return score("lexical_grounding", found)["lexical_grounding"]


def test_the_three_built_in_metrics_are_found_by_name() -> None:
    assert {"latency", "cost", "lexical_grounding"} <= set(plugins.names("metrics"))


def test_an_unstreamed_call_has_a_total_and_says_why_it_has_no_first_token() -> None:
    scores = score("latency", sample(total_s=1.5))
    assert scores["latency.total_s"].value == 1.5
    assert scores["latency.first_token_s"].value is None
    assert scores["latency.first_token_s"].unscored == "not_streamed"
    assert scores["latency.output_tokens_per_s"].unscored == "not_streamed"


def test_a_streamed_call_has_all_three_times() -> None:
    scores = score("latency", sample(total_s=2.0, first_token_s=0.5, output_tokens_per_s=20.0))
    assert [s.value for s in scores.values()] == [2.0, 0.5, 20.0]
    assert not any(s.unscored for s in scores.values())


def test_a_streamed_reply_of_one_token_has_no_rate() -> None:
    scores = score("latency", sample(total_s=2.0, first_token_s=0.5))
    assert scores["latency.output_tokens_per_s"].unscored == "no_answer"


@pytest.mark.parametrize(
    ("pico", "usd"),
    [(0, 0.0), (1, 1e-12), (450_000_000, 0.00045), (3 * 10**12 + 1, 3.000000000001)],
)
def test_cost_is_the_float_nearest_to_the_exact_amount(pico: int, usd: float) -> None:
    assert score("cost", sample(cost_pico=pico))["cost.usd"].value == usd


def test_a_model_without_a_price_is_unpriced_and_never_free() -> None:
    scores = score("cost", sample(cost_pico=None, usage=Usage(30, 4)))
    assert (scores["cost.usd"].value, scores["cost.usd"].unscored) == (None, "unpriced")
    assert scores["cost.input_tokens"].value == 30
    assert scores["cost.output_tokens"].value == 4


def test_an_answer_copied_from_its_passage_is_wholly_grounded() -> None:
    text = "Retries are decided by the pool. A target that answers 429 is tried again."
    assert grounding(f"{text} [1]", f"# Retries\n\n{text}").value == 1.0


def test_half_of_the_bigrams_found_is_one_half() -> None:
    found = grounding("Green pools retry calls [1].", "Every green pools file. Retry calls later.")
    assert dict(found.details) == {"bigrams": 3, "found": 2, "passages": 1}
    assert found.value == pytest.approx(2 / 3)


def test_only_the_passages_that_the_answer_cites_count() -> None:
    passages = ("Blue whales swim.", "Green pools retry.")
    assert grounding("Green pools retry [1].", *passages, cited=(1,)).value == 0.0
    assert grounding("Green pools retry [2].", *passages, cited=(2,)).value == 1.0


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (sample(answer="Green pools retry.", refused=True), "refused"),
        (sample(answer="Green pools retry."), "no_context"),
        (sample(answer=None, passages=[passage("x")]), "not_captured"),
        (sample(answer="Yes [1].", passages=[passage("x")], cited=(1,)), "no_answer"),
        (sample(answer="Green pools retry.", passages=[passage("x")]), "no_citation"),
    ],
)
def test_what_cannot_be_grounded_says_why(found: Sample, reason: str) -> None:
    result = score("lexical_grounding", found)["lexical_grounding"]
    assert (result.value, result.unscored) == (None, reason)


def test_bigrams_stay_within_a_sentence_and_leave_out_stop_words_and_markers() -> None:
    text = "The Pool [1] retries a call. Then it waits for max_tokens!\n\n- A list item"
    assert list(content_bigrams(text)) == [
        ("pool", "retries"),
        ("retries", "call"),
        ("waits", "max_tokens"),
        ("list", "item"),
    ]


def test_a_line_wrapped_inside_a_sentence_does_not_end_it() -> None:
    assert list(content_bigrams("green\npools")) == [("green", "pools")]


def test_markers_are_numbers_in_order_of_first_use() -> None:
    assert markers("As in [2], and [1, 3] and [2].") == [2, 1, 3]
