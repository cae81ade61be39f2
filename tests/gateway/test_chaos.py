"""Hundreds of calls to upstreams that go wrong in every way: what holds for each of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chaos import Scenario
from configs import write_config
from in_process import Answer, Place, eventually, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream

SEEDS = 400
AT_ONCE = 30
TOTAL_S = 2
SLACK_S = 5.0
"""Room for a busy machine; a call that ignores its limits takes longer than this by far."""

TIMEOUTS = (
    "{connect_s: 0.5, first_token_s: 0.4, between_tokens_s: 0.4, answer_s: 0.4, "
    f"total_s: {TOTAL_S}}}"
)

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: a, use: openai_compatible, options: {{base_url: "{url}", max_reply_mb: 0.1}}}}
  - {{name: b, use: openai_compatible, options: {{base_url: "{url}", max_reply_mb: 0.1}}}}
pools:
  - name: main
    targets: [{{provider: a, model: one}}, {{provider: b, model: two}}]
    timeouts: {timeouts}
    retries: {{attempts: 3, extra_share: 1.0}}
    hedge: {{max_share: 1.0}}
    fallbacks: [spare]
  - name: spare
    targets: [{{provider: b, model: spare}}]
    timeouts: {timeouts}
    retries: {{attempts: 2, extra_share: 1.0}}
  - name: tight
    targets: [{{provider: a, model: one}}]
    timeouts: {timeouts}
    retries: {{attempts: 2, extra_share: 1.0}}
    queue: {{in_flight_per_target: 4, waiting: 100, wait_s: 1}}
routes:
  - {{name: plain, pool: main}}
  - {{name: captured, pool: main, capture: full}}
  - {{name: narrow, pool: tight}}
"""


class Run:
    """One scenario's call and what was seen of it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.answer: Answer = Answer()
        self.seen_at_first_content: int | None = None
        self.took_s = 0.0

    def saw(self, piece: bytes) -> None:
        scenario = self.scenario
        if scenario.stream and b"attempt" in piece and self.seen_at_first_content is None:
            self.seen_at_first_content = scenario.seen
        if scenario.leaves_after:
            scenario.leaves_after -= 1
            if scenario.leaves_after == 0:
                scenario.hangup.set()

    async def go(self, place: Place) -> None:
        scenario, loop = self.scenario, asyncio.get_running_loop()
        body = {
            "model": scenario.route,
            "stream": scenario.stream,
            "user": scenario.name,
            "messages": [{"role": "user", "content": "Say something."}],
        }
        begun = loop.time()
        self.answer = await place.ask(body, hangup=scenario.hangup, saw=self.saw)
        self.took_s = loop.time() - begun

    def check(self, record: dict[str, Any]) -> None:
        """What must hold for every call, whatever the upstream did."""
        scenario = self.scenario
        self._one_outcome(record["outcome"])
        assert len(_words(self.answer.body)) <= 1, "the words of two attempts"
        if self.seen_at_first_content is not None:
            assert scenario.seen == self.seen_at_first_content, "asked again after content"
        attempts = record["attempts"]
        # Only an attempt that a timer or the caller ended may not have got as far as the upstream.
        unsent = [a for a in attempts if "timer" in a["error"] or a["outcome"] == "cancelled"]
        told = scenario.seen, [(a["model"], a["outcome"], a["error"][:40]) for a in attempts]
        assert len(attempts) - len(unsent) <= scenario.seen <= len(attempts), told
        assert all(a["outcome"] for a in attempts), "an attempt without an outcome"
        assert sum(a["outcome"] == "ok" for a in attempts) <= 1
        assert self.took_s < TOTAL_S + SLACK_S

    def _one_outcome(self, outcome: str) -> None:
        scenario, answer = self.scenario, self.answer
        if answer.ends == 0:  # the client left, if only after the outcome was on record
            assert scenario.hangup.is_set()
        elif outcome == "ok":
            assert answer.status == 200 and answer.error is None
            assert answer.done == scenario.stream
        else:
            assert outcome == "error"
            assert answer.status >= 400 or (answer.error is not None and not answer.done)
        if outcome == "cancelled":
            assert answer.ends == 0 and b"[DONE]" not in answer.body


def _words(body: bytes) -> set[bytes]:
    return {w for w in body.replace(b'"', b" ").split() if w.startswith(b"attempt")}


async def all_calls(place: Place, fake: RawUpstream) -> list[Run]:
    runs = {f"s{seed}": Run(Scenario.made(seed)) for seed in range(SEEDS)}

    async def script(exchange: Exchange) -> None:
        await runs[exchange.body["user"]].scenario.answer(exchange)

    fake.script = script
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(run: Run) -> None:
        async with gate:
            await run.go(place)

    await asyncio.gather(*(one(run) for run in runs.values()))
    return list(runs.values())


async def chaos(folder: Path) -> None:
    before = len(asyncio.all_tasks())

    async def unset(exchange: Exchange) -> None:
        raise AssertionError("the test has set no script")

    async with raw_upstream(unset) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url, timeouts=TIMEOUTS))
        async with opened(config) as place:
            runs = await all_calls(place, fake)
            records = {r["user"]: dict(r) for r in place.records}
            assert len(place.records) == len(records) == SEEDS, "not one record for each call"
            for run in runs:
                try:
                    run.check(records[run.scenario.name])
                except AssertionError as error:
                    raise AssertionError(f"{run.scenario}: {error}") from error
            assert {r["outcome"] for r in records.values()} == {"ok", "error", "cancelled"}
            for pool in place.endpoints.gateway._router.pools.values():
                assert [s.in_flight for s in pool.states] == [0] * len(pool.states)
                assert (pool.queue.length, pool.queue.taken) == (0, 0)
        await eventually(lambda: fake.open == 0, "a connection is left")
    await eventually(lambda: len(asyncio.all_tasks()) == before, "a task is left")


def test_what_holds_for_every_call_holds_in_chaos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("rests", "tries"):
        monkeypatch.setattr(f"headgate_gateway.routing.{module}.LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr("headgate_gateway.sse.MAX_EVENT", 100_000)
    asyncio.run(chaos(tmp_path))
