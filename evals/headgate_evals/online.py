"""Scores live calls behind the reply, with the metrics of their route."""

from __future__ import annotations

import asyncio
import logging

from headgate_core.context import Context
from headgate_core.endpoints import kind_of
from headgate_core.ports import Tools
from headgate_core.types import Sample, Score
from headgate_evals.samples import make_sample
from headgate_evals.scoring import Scorer, route_metrics

log = logging.getLogger("headgate.evals")

QUEUE_SIZE = 1000
"""Calls that may wait to be scored; the texts of so many are held in memory at most."""
STOP_S = 10.0
"""How long ``stop`` waits for the calls that are still queued."""


class OnlineScorer:
    """The background service ``scorer``.

    A call's text lives in the bounded queue of this process until the call is scored, and nowhere
    else: on a route with ``capture: none`` it is never written down. Calls of evaluation runs are
    left to the runner. When the queue is full, a call is dropped and counted in ``dropped``.
    """

    dropped: int
    """Calls that were not scored, because the queue was full or the process stopped."""

    def __init__(self) -> None:
        self.dropped = 0
        self._pending = 0
        self._tools: Tools | None = None
        self._scorer: Scorer | None = None
        self._queue: asyncio.Queue[Sample] = asyncio.Queue(QUEUE_SIZE)
        self._task: asyncio.Task[None] | None = None

    def bind(self, tools: Tools) -> None:
        """Take what is needed, and build the metrics of all routes.

        Raises ``ConfigurationError`` for a metric that is not known.
        """
        self._tools = tools
        self._scorer = Scorer(tools)
        for route in ("", *(route.name for route in tools.settings.routes)):
            self._scorer.prepare(route_metrics(tools.settings, route))

    async def start(self) -> None:
        """Begin to score what ``on_record`` hands over."""
        self._task = asyncio.create_task(self._work(), name="online-scorer")

    async def stop(self) -> None:
        """Score what is queued, for ``STOP_S`` seconds at most, then end."""
        if self._task is None:
            return
        task, self._task = self._task, None
        try:
            async with asyncio.timeout(STOP_S):
                await self._queue.join()
        except TimeoutError:
            log.warning("stopped with %d calls unscored", self._pending)
            self.dropped += self._pending
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def on_record(self, context: Context) -> None:
        """Queue a finished chat call; evaluation runs' calls are the runner's.

        Does nothing before ``start``, and for calls that are no chat: they have no answer.
        """
        if self._task is None or context.source != "serve" or kind_of(context.endpoint) != "chat":
            return
        try:
            self._queue.put_nowait(make_sample(context))
            self._pending += 1
        except asyncio.QueueFull:
            self.dropped += 1
            if self.dropped == 1:
                log.warning("calls come faster than they are scored: dropping (and counting) some")

    async def score_now(self, ctx: Context) -> list[Score]:
        """Score a finished call at once and keep the scores; for callers that print them."""
        return await self._score(make_sample(ctx))

    async def _work(self) -> None:
        while True:
            sample = await self._queue.get()
            try:
                await self._score(sample)
            except Exception:  # scoring may fail, the scorer goes on
                log.exception("call %s: its scores could not be kept", sample.call_id)
                self.dropped += 1
            self._pending -= 1
            self._queue.task_done()

    async def _score(self, sample: Sample) -> list[Score]:
        if self._tools is None or self._scorer is None:
            raise RuntimeError("the scorer was not bound to its tools")
        metrics = route_metrics(self._tools.settings, sample.route)
        scores = await self._scorer.score(metrics, sample)
        await self._tools.score(sample.call_id, scores)
        return scores
