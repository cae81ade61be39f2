from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fake_eval_gateway import Answer, built, finished, settings_of, tools_of

import headgate_evals.online as online
from headgate_core.errors import ConfigurationError, UpstreamTimeout
from headgate_core.settings.base import PluginUse
from headgate_core.types import Sample, Score
from headgate_evals.online import OnlineScorer


@dataclass
class Words:
    """Counts words; raises on an empty answer."""

    version: ClassVar[str] = "1"

    async def score(self, sample: Sample) -> Sequence[Score]:
        if not sample.answer:
            raise ZeroDivisionError
        count = len(sample.answer.split())
        return [Score("words.count", count), Score("words.share", float("nan"))]


def plugin(kind: str, use: PluginUse) -> Any:
    return Words() if use.use == "tests:Words" else built(kind, use)


ROUTE = {"name": "docs", "pool": "p", "scores": ["latency", "length"]}
OWN = {"name": "length", "use": "tests:Words"}


def scorer_of(tmp_path: Path, **members: Any) -> tuple[OnlineScorer, dict[str, list[Score]]]:
    tools, kept = tools_of(tmp_path, settings_of(**members), plugin)
    scorer = OnlineScorer()
    scorer.bind(tools)
    return scorer, kept


def served(scorer: OnlineScorer, work: Callable[[], Awaitable[None] | None]) -> None:
    async def run() -> None:
        await scorer.start()
        waiting = work()
        if waiting is not None:
            await waiting
        await scorer.stop()

    asyncio.run(run())


def test_a_finished_call_is_scored_by_the_metrics_of_its_route(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path, routes=[ROUTE], metrics=[OWN])
    ctx = finished(Answer("one two three"))
    served(scorer, lambda: scorer.on_record(ctx))
    scores = {s.metric: s for s in kept[ctx.call_id]}
    assert scores["latency.total_s"].value is not None
    assert scores["length.count"].value == 3
    assert "cost.usd" not in scores


def test_a_pool_called_by_its_own_name_has_the_default_metrics(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path)
    ctx = finished(Answer(), route="p")
    served(scorer, lambda: scorer.on_record(ctx))
    families = {s.metric.partition(".")[0] for s in kept[ctx.call_id]}
    assert families == {"latency", "cost", "lexical_grounding"}


def test_a_metric_that_raises_is_a_reason_with_the_name_of_the_exception(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path, routes=[ROUTE], metrics=[OWN])
    ctx = finished(Answer("", passages=()))
    served(scorer, lambda: scorer.on_record(ctx))
    [broken] = [s for s in kept[ctx.call_id] if s.metric == "length"]
    assert (broken.value, broken.unscored) == (None, "metric_error")
    assert broken.details == {"error": "ZeroDivisionError"}


def test_a_value_that_is_no_number_never_becomes_a_score(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path, routes=[ROUTE], metrics=[OWN])
    ctx = finished(Answer("one"))
    served(scorer, lambda: scorer.on_record(ctx))
    [share] = [s for s in kept[ctx.call_id] if s.metric == "length.share"]
    assert (share.value, share.unscored) == (None, "metric_error")


def test_a_failed_call_is_unscored_and_not_fast_or_cheap(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path, routes=[ROUTE], metrics=[OWN])
    ctx = finished(Answer("", error=UpstreamTimeout("late")))
    served(scorer, lambda: scorer.on_record(ctx))
    assert [(s.metric, s.unscored) for s in kept[ctx.call_id]] == [
        ("latency", "call_failed"),
        ("length", "call_failed"),
    ]


def test_calls_of_evaluation_runs_are_left_alone(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path)
    served(scorer, lambda: scorer.on_record(finished(Answer(), source="eval")))
    assert kept == {}


def test_a_full_queue_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(online, "QUEUE_SIZE", 2)
    scorer, kept = scorer_of(tmp_path)

    def burst() -> None:
        for _ in range(5):
            scorer.on_record(finished(Answer()))

    served(scorer, burst)
    assert scorer.dropped == 3
    assert len(kept) == 2


def test_scores_that_cannot_be_kept_are_counted_and_the_next_call_is_scored(tmp_path: Path) -> None:
    tools, kept = tools_of(tmp_path, settings_of())
    keep, broken = tools.score, finished(Answer())

    async def score(call_id: str, scores: Sequence[Score]) -> None:
        if call_id == broken.call_id:
            raise OSError("disk full")
        await keep(call_id, scores)

    tools.score = score
    scorer, good = OnlineScorer(), finished(Answer())
    scorer.bind(tools)

    def both() -> None:
        scorer.on_record(broken)
        scorer.on_record(good)

    served(scorer, both)
    assert (scorer.dropped, set(kept)) == (1, {good.call_id})


def test_stopping_ends_although_a_metric_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "STOP_S", 0.01)
    tools, kept = tools_of(tmp_path, settings_of())
    scorer = OnlineScorer()

    async def never(_call_id: str, _scores: Sequence[Score]) -> None:
        await asyncio.Event().wait()

    tools.score = never
    scorer.bind(tools)
    served(scorer, lambda: scorer.on_record(finished(Answer())))
    assert kept == {}
    assert scorer.dropped == 1


def test_scores_are_there_at_once_for_a_caller_that_prints_them(tmp_path: Path) -> None:
    scorer, kept = scorer_of(tmp_path)
    ctx = finished(Answer())
    scores = asyncio.run(scorer.score_now(ctx))
    assert kept[ctx.call_id] == scores
    assert {s.metric: s.value for s in scores}["lexical_grounding"] == 1.0


def test_an_unknown_metric_is_an_error_at_start_that_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"unknown metric 'latncy'.*Did you mean 'latency'"
    ):
        scorer_of(tmp_path, defaults={"scores": ["latncy"]})
