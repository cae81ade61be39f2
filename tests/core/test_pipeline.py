"""The runner: order, last stages whatever happens, another round, a hang-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from headgate_core.context import Context
from headgate_core.errors import Again, Ended, HeadgateError, InvalidRequest, UpstreamTruncated
from headgate_core.pipeline import Pipeline, Stage
from headgate_core.reply import Chunk, Done, Event, Reply


def reply(*texts: str, error: Exception | None = None) -> Reply:
    async def events() -> AsyncIterator[Event]:
        for text in texts:
            yield Chunk({"text": text})
        if error is not None:
            raise error
        yield Done()

    return Reply(stream=True, events=events())


@dataclass
class Step:
    """Notes that it ran, then does what it was told."""

    name: str
    log: list[str]
    makes: list[Reply] = field(default_factory=list)
    raises: list[BaseException] = field(default_factory=list)
    last: bool = False
    reenter: bool = False

    async def run(self, ctx: Context) -> None:
        self.log.append(self.name)
        if self.raises:
            raise self.raises.pop(0)
        if self.makes:
            ctx.reply = self.makes.pop(0)


def context() -> Context:
    return Context(route="r", request={})


async def drained(pipeline: Pipeline, ctx: Context) -> list[Event]:
    await pipeline.run(ctx)
    return [event async for event in pipeline.events(ctx)]


def test_stages_run_in_order_and_the_last_ones_before_done() -> None:
    log: list[str] = []
    stages: list[Stage] = [
        Step("a", log),
        Step("b", log, makes=[reply("x")]),
        Step("end", log, last=True),
    ]
    ctx = context()
    pipeline = Pipeline(stages)

    async def run() -> None:
        await pipeline.run(ctx)
        assert log == ["a", "b"]
        async for event in pipeline.events(ctx):
            log.append(type(event).__name__)

    asyncio.run(run())
    assert log == ["a", "b", "Chunk", "end", "Done"]
    assert [s["name"] for s in ctx.stages] == ["a", "b", "end"]


def test_an_error_skips_the_rest_and_still_runs_the_last_stages_once() -> None:
    log: list[str] = []
    stages: list[Stage] = [
        Step("a", log, raises=[InvalidRequest("no")]),
        Step("b", log),
        Step("end", log, last=True),
    ]
    ctx = context()
    with pytest.raises(InvalidRequest):
        asyncio.run(Pipeline(stages).run(ctx))
    assert log == ["a", "end"]
    assert isinstance(ctx.error, InvalidRequest)


def test_an_early_end_is_a_reply_and_no_error() -> None:
    log: list[str] = []
    stages: list[Stage] = [
        Step("a", log, raises=[Ended(reply("no"), "refused")]),
        Step("b", log),
        Step("end", log, last=True),
    ]
    ctx = context()
    events = asyncio.run(drained(Pipeline(stages), ctx))
    assert [type(e) for e in events] == [Chunk, Done]
    assert (log, ctx.error) == (["a", "end"], None)


def test_a_reply_that_fails_half_way_is_an_error_without_done() -> None:
    log: list[str] = []
    broken = reply("x", error=UpstreamTruncated("cut"))
    pipeline = Pipeline([Step("a", log, makes=[broken]), Step("end", log, last=True)])
    ctx = context()
    with pytest.raises(UpstreamTruncated):
        asyncio.run(drained(pipeline, ctx))
    assert log == ["a", "end"]


def test_another_round_begins_at_the_stage_that_says_so() -> None:
    log: list[str] = []
    replies = [reply(error=Again("unsupported", pool="large")), reply("better")]
    stages: list[Stage] = [
        Step("retrieve", log),
        Step("render", log, reenter=True),
        Step("route", log, makes=replies),
        Step("end", log, last=True),
    ]
    ctx = context()
    events = asyncio.run(drained(Pipeline(stages), ctx))
    assert log == ["retrieve", "render", "route", "render", "route", "end"]
    assert (ctx.again, ctx.pool) == (["unsupported"], "large")
    assert events == [Chunk({"text": "better"}), Done()]


def test_rounds_are_bounded() -> None:
    log: list[str] = []
    replies = [reply(error=Again("again")) for _ in range(5)]
    pipeline = Pipeline([Step("render", log, makes=replies, reenter=True)])
    with pytest.raises(Exception, match="sent round"):
        asyncio.run(drained(pipeline, context()))
    assert len(log) == 2


def test_an_abandoned_reply_is_closed_and_recorded_as_cancelled() -> None:
    log: list[str] = []
    closed: list[bool] = []

    async def endless() -> AsyncIterator[Event]:
        try:
            while True:
                yield Chunk({})
        finally:
            closed.append(True)

    ctx = context()
    pipeline = Pipeline(
        [Step("a", log, makes=[Reply(True, endless())]), Step("end", log, last=True)]
    )

    async def run() -> None:
        await pipeline.run(ctx)
        events = pipeline.events(ctx)
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]  # it is an async generator

    asyncio.run(run())
    assert (closed, ctx.cancelled, log) == ([True], True, ["a", "end"])


def test_a_call_that_cannot_be_recorded_is_not_passed_off_as_complete() -> None:
    log: list[str] = []
    stages: list[Stage] = [
        Step("a", log, makes=[reply("x")]),
        Step("settle", log, raises=[RuntimeError("broken")], last=True),
        Step("record", log, last=True),
    ]
    ctx = context()
    got: list[Event] = []

    async def run() -> None:
        pipeline = Pipeline(stages)
        await pipeline.run(ctx)
        async for event in pipeline.events(ctx):
            got.append(event)

    with pytest.raises(HeadgateError, match="could not be recorded"):
        asyncio.run(run())
    assert got == [Chunk({"text": "x"})]
    assert log == ["a", "settle", "record"]
