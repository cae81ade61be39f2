"""Runs a suite through the gateway's own pipeline and judges what came back."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.ids import uuid7
from headgate_core.money import pico
from headgate_core.ports import Tools
from headgate_core.types import Json, Sample, Score
from headgate_evals import gates
from headgate_evals.asserts.base import CannotTell, Delivered
from headgate_evals.asserts.registry import decide
from headgate_evals.cases import Case, Suite
from headgate_evals.report.document import summary_of
from headgate_evals.results import AssertResult, CaseResult, Outcome, Run, Stopped
from headgate_evals.run_log import RunLog
from headgate_evals.samples import make_sample
from headgate_evals.scoring import Scorer


class EvalGateway(Protocol):
    """What the runner needs of the gateway, opened with source ``eval``."""

    @property
    def tools(self) -> Tools:
        """Settings, store, plugins and the keeper of scores."""
        ...

    def context(self, *, model: str, body: Json) -> Context:
        """A call that is ready to run."""
        ...

    async def complete(self, ctx: Context) -> None:
        """Run the whole pipeline and drain the reply; errors go onto ``ctx.error``."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


@dataclass(frozen=True, slots=True)
class _Item:
    """One call to make: a case and the number of its repeat."""

    position: int
    case: Case
    repeat: int


class Runner:
    """One run of one suite. ``on_result`` is called with each result as it is there."""

    def __init__(
        self,
        gateway: EvalGateway,
        suite: Suite,
        on_result: Callable[[CaseResult], None] = lambda _result: None,
    ) -> None:
        self._gateway = gateway
        self._suite = suite
        self._on_result = on_result
        self._scorer = Scorer(gateway.tools)
        self._run_id = uuid7()
        self._log = RunLog(gateway.tools.store, self._run_id)
        self._started_unix_ns, self._started = time.time_ns(), time.perf_counter()
        self._items = list(_items(suite))
        self._results: dict[int, CaseResult] = {}
        self._stopped: Stopped = ""

    async def run(self) -> Run:
        """All cases; results in the order of the suite, whatever order they finished in.

        Being cancelled ends the run with the results so far. Raises ``ConfigurationError`` for a
        metric that is not known and ``StoreError`` when results cannot be kept.
        """
        settings = self._suite.settings
        self._scorer.prepare(settings.metrics)
        config_hash = self._gateway.tools.settings.hash
        await self._log.begin(settings.name, config_hash, self._suite.data_hash)
        await self._work()
        run = self._judged()
        await self._log.finish(run, summary_of(run))
        return run

    async def _work(self) -> None:
        settings = self._suite.settings
        todo = iter(self._items)
        try:
            async with asyncio.timeout(settings.budget.minutes * 60), asyncio.TaskGroup() as group:
                for _ in range(min(settings.concurrency, len(self._items))):
                    group.create_task(self._worker(todo))
        except TimeoutError:
            self._stopped = "deadline"
        except asyncio.CancelledError:
            self._stopped = "interrupted"
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        except BaseExceptionGroup as group_error:  # a task group wraps what its worker raised
            raise group_error.exceptions[0] from None

    async def _worker(self, todo: Iterator[_Item]) -> None:
        for item in todo:
            if self._budget_is_spent():
                self._stopped = "budget"
                return
            result = await self._one(item)
            self._results[item.position] = result
            await self._log.add(result)
            self._on_result(result)

    def _budget_is_spent(self) -> bool:
        limit = self._suite.settings.budget.usd
        spent = sum(result.cost_pico for result in self._results.values())
        return limit is not None and spent >= pico(limit)

    async def _one(self, item: _Item) -> CaseResult:
        route, case = self._suite.settings.run.route, item.case
        body: Json = {"model": route, "messages": copy.deepcopy(case.messages)}
        if case.inputs:
            body["headgate"] = {"inputs": copy.deepcopy(case.inputs)}
        try:
            ctx = self._gateway.context(model=route, body=body)
        except HeadgateError as error:
            return _unjudged(item, "error", f"{error.error_code}: {error.message}")
        await self._gateway.complete(ctx)
        sample = make_sample(ctx, case.reference)
        scores = await self._scorer.score(self._suite.settings.metrics, sample)
        await self._gateway.tools.score(ctx.call_id, scores)
        return _judge(item, ctx, sample, scores)

    def _judged(self) -> Run:
        settings = self._suite.settings
        results = [
            self._results.get(item.position) or _unjudged(item, "not_run", self._stopped)
            for item in self._items
        ]
        judged = gates.judge(settings, results)
        incomplete = gates.incomplete_because(settings, results, judged, self._stopped)
        return Run(
            run_id=self._run_id,
            suite=settings.name,
            route=settings.run.route,
            started_unix_ns=self._started_unix_ns,
            duration_s=time.perf_counter() - self._started,
            config_hash=self._gateway.tools.settings.hash,
            data_hash=self._suite.data_hash,
            results=results,
            gates=judged,
            metrics=gates.summaries(results),
            stopped=self._stopped,
            incomplete=incomplete,
            exit_code=gates.exit_code(settings, judged, self._stopped, incomplete),
            notes=self._notes(results),
        )

    def _notes(self, results: list[CaseResult]) -> list[str]:
        notes = []
        unpriced = sum(result.unpriced for result in results)
        if unpriced:
            notes.append(
                f"{unpriced} calls have no known price: the cost"
                + (" and the budget count" if self._suite.settings.budget.usd else " counts")
                + " the priced ones alone."
            )
        if len(self._suite.cases) < self._suite.cases_in_all:
            notes.append(
                f"{len(self._suite.cases)} of the suite's {self._suite.cases_in_all} cases "
                "were chosen."
            )
        return notes


def _items(suite: Suite) -> Iterator[_Item]:
    position = 0
    for case in suite.cases:
        for repeat in range(1, suite.settings.repeats + 1):
            yield _Item(position, case, repeat)
            position += 1


def _unjudged(item: _Item, outcome: Outcome, reason: str) -> CaseResult:
    return CaseResult(
        item.case.id, item.repeat, outcome, item.case.tags, item.case.asserted, reason
    )


def _judge(item: _Item, ctx: Context, sample: Sample, scores: list[Score]) -> CaseResult:
    known = CaseResult(
        case_id=item.case.id,
        repeat=item.repeat,
        outcome="error",
        tags=item.case.tags,
        asserted=item.case.asserted,
        call_id=ctx.call_id,
        answer=_delivered_text(ctx, sample),
        scores=scores,
        total_s=sample.total_s,
        cost_pico=ctx.cost_pico,
        unpriced=ctx.unpriced,
    )
    if sample.failed:
        error = ctx.error
        reason = f"{error.error_code}: {error.message}" if error else "the call was cancelled"
        return replace(known, reason=reason)
    delivered = Delivered(
        known.answer, sample.passages, sample.refused, sample.total_s, sample.cost_pico
    )
    asserts = [_decided(item.case, index, delivered) for index in range(len(item.case.asserts))]
    outcome = _outcome(asserts, item.case.asserted)
    reasons = [f"{a.type}: {a.reason}" for a in asserts if a.outcome != "passed"]
    reason = "no_assertion" if outcome == "unscored" else "; ".join(reasons)
    return replace(known, outcome=outcome, asserts=asserts, reason=reason)


def _delivered_text(ctx: Context, sample: Sample) -> str:
    """What the caller read; a refusal that is an error has its text there."""
    if sample.refused and ctx.error is not None:
        return ctx.error.message
    return sample.answer or ""


def _decided(case: Case, index: int, delivered: Delivered) -> AssertResult:
    expected = case.asserts[index]
    try:
        finding = decide(expected, delivered)
    except CannotTell as error:
        return AssertResult(expected.type, "error", str(error))
    return AssertResult(expected.type, "passed" if finding.passed else "failed", finding.reason)


def _outcome(asserts: list[AssertResult], asserted: bool) -> Outcome:
    """A failure stands, whatever else could not be judged."""
    outcomes = {result.outcome for result in asserts}
    if "failed" in outcomes:
        return "failed"
    if "error" in outcomes:
        return "error"
    return "passed" if asserted else "unscored"
