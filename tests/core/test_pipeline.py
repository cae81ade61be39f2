"""The runner: order, last stages whatever happens, another round, a hang-up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from headgate_core.context import Context
from headgate_core.errors import (
    Again,
    Ended,
    HeadgateError,
    Internal,
    InvalidRequest,
    ShuttingDown,
    UpstreamTruncated,
)
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


@dataclass
class Slow:
    """A last stage that waits, then notes that it ran to its end."""

    name: str
    log: list[str]
    begun: asyncio.Event
    release: asyncio.Event
    last: bool = True
    reenter: bool = False

    async def run(self, ctx: Context) -> None:
        self.begun.set()
        await self.release.wait()
        self.log.append(self.name)


ENDS = pytest.mark.parametrize(
    ("raised", "outcome"),
    [
        (None, None),
        (InvalidRequest("no"), InvalidRequest),
        (RuntimeError("broken"), Internal),
    ],
    ids=["answered", "refused", "broken"],
)


@ENDS
@pytest.mark.parametrize("cut", [False, True], ids=["hang-up", "cut-off"])
def test_who_leaves_while_the_last_stages_run_leaves_them_to_their_end(
    raised: Exception | None, outcome: type[HeadgateError] | None, cut: bool
) -> None:
    log: list[str] = []

    async def story() -> None:
        record = Slow("record", log, asyncio.Event(), asyncio.Event())
        first = Step("a", log, makes=[reply("x")], raises=[raised] if raised else [])
        ctx = context()
        call = asyncio.create_task(drained(Pipeline([first, record]), ctx))
        await record.begun.wait()
        ctx.cut = ShuttingDown("going down") if cut else None
        call.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not call.done(), "it waits for the record"
        record.release.set()
        await asyncio.wait({call})
        assert log == ["a", "record"]
        assert call.cancelled() != cut, "who cuts off what has ended gets it as it ended"
        assert not ctx.cancelled
        assert type(ctx.error) is (outcome or type(None))

    asyncio.run(story())


def test_a_second_hang_up_does_not_take_the_record_away() -> None:
    log: list[str] = []

    async def story() -> None:
        record = Slow("record", log, asyncio.Event(), asyncio.Event())
        call = asyncio.create_task(
            drained(Pipeline([Step("a", log, makes=[reply("x")]), record]), context())
        )
        await record.begun.wait()
        while not call.done():
            call.cancel()
            await asyncio.sleep(0)
        record.release.set()
        await asyncio.gather(*(t for t in asyncio.all_tasks() if t.get_name() == "last stages"))

    asyncio.run(story())
    assert log == ["a", "record"]


def test_what_cannot_be_closed_does_not_keep_a_call_from_its_record() -> None:
    log: list[str] = []

    async def broken() -> None:
        raise RuntimeError("broken")

    ctx = context()
    ctx.closers.append(broken)
    stages: list[Stage] = [Step("a", log, makes=[reply("x")]), Step("record", log, last=True)]
    events = asyncio.run(drained(Pipeline(stages), ctx))
    assert [type(e) for e in events] == [Chunk, Done]
    assert log == ["a", "record"]
