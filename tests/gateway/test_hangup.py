"""The client leaves, in each phase of a call: a real server, real sockets, a scripted upstream."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from hangup_world import (
    Phase,
    World,
    first_words,
    half_a_body,
    only_headers,
    recorded,
    run,
    scripted,
    silent,
)
from in_process import eventually
from raw_upstream import Exchange
from upstream import completion


@pytest.mark.parametrize("model", ["plain", "captured"])
@pytest.mark.parametrize(
    ("phase", "stream", "content"),
    [
        (silent, True, False),
        (only_headers, True, False),
        (first_words, True, True),
        (silent, False, False),
        (half_a_body, False, False),
    ],
)
def test_a_hang_up_reaches_the_upstream(
    tmp_path: Path, phase: Phase, stream: bool, content: bool, model: str
) -> None:
    async def leave(w: World) -> None:
        scripted(w, phase)
        client = await w.call(model, stream=stream)
        if content:
            await client.got(b"Once upon")
        else:
            await eventually(lambda: len(w.fake.requests) == 1, "the upstream was not asked")
        client.hang_up()
        await eventually(lambda: w.left == ["one"], "the upstream did not see the close")
        record = await recorded(w)
        assert (record["outcome"], record["status"]) == ("cancelled", 499)
        [attempt] = record["attempts"]
        assert attempt["outcome"] == "cancelled"
        assert attempt["usage"]["estimated"] and attempt["usage"]["input_tokens"] > 0
        assert bool(attempt["usage"]["output_tokens"]) == content
        assert w.fake.open == 0

    run(tmp_path, leave)


def test_a_hang_up_in_the_queue_leaves_it_and_nothing_was_sent(tmp_path: Path) -> None:
    async def leave(w: World) -> None:
        scripted(w, first_words)
        holders = [await w.call("plain", stream=True) for _ in range(2)]
        for holder in holders:
            await holder.got(b"Once upon")
        queue = w.pool().queue
        assert queue is not None
        waiting = await w.call("plain", stream=True)
        await eventually(lambda: queue.length == 1, "the call does not wait")
        waiting.hang_up()
        await eventually(lambda: queue.length == 0, "the call still waits")
        await eventually(lambda: len(w.place.records) == 1, "the call is not on record")
        assert w.place.records[0]["outcome"] == "cancelled"
        assert w.place.records[0]["attempts"] == []
        for holder in holders:
            holder.hang_up()
        await recorded(w, 3)
        assert len(w.fake.requests) == 2

    run(tmp_path, leave)


def test_a_hang_up_in_the_pause_before_a_retry_ends_the_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate_gateway.routing.rests.random.uniform", lambda *_: 5.0)

    async def leave(w: World) -> None:
        w.fake.script = lambda exchange: exchange.json(500, b"{}")
        client = await w.call("again", stream=True)
        state = w.pool("again").states[0]
        await eventually(
            lambda: len(w.fake.requests) == 1 and state.in_flight == 0, "no first attempt"
        )
        client.hang_up()
        record = await recorded(w)
        assert record["outcome"] == "cancelled"
        assert [a["outcome"] for a in record["attempts"]] == ["error"]
        assert len(w.fake.requests) == 1

    run(tmp_path, leave)


def test_a_hang_up_during_a_hedge_closes_both_attempts(tmp_path: Path) -> None:
    async def leave(w: World) -> None:
        for state in w.pool().states:
            for _ in range(20):
                state.answered(0.001)
        scripted(w, silent)
        client = await w.call("plain", stream=True)
        await eventually(lambda: len(w.fake.requests) == 2, "there was no hedge")
        client.hang_up()
        await eventually(lambda: sorted(w.left) == ["one", "two"], "an attempt goes on")
        record = await recorded(w)
        assert record["outcome"] == "cancelled"
        assert [(a["why"], a["outcome"]) for a in record["attempts"]] == [
            ("first", "cancelled"),
            ("hedge", "cancelled"),
        ]

    run(tmp_path, leave)


def test_the_winner_of_a_hedge_answers_and_the_loser_is_closed(tmp_path: Path) -> None:
    async def win(w: World) -> None:
        for state in w.pool().states:
            for _ in range(20):
                state.answered(0.001, stream=False)

        async def one_is_slow(exchange: Exchange) -> None:
            if exchange.body["model"] == "one":
                await w.hold(exchange)
            else:
                await exchange.json(200, orjson.dumps(completion("quick")))

        w.fake.script = one_is_slow
        client = await w.call("plain", stream=False)
        await client.got(b"quick")
        await eventually(lambda: w.left == ["one"], "the loser goes on")
        record = await recorded(w)
        assert [(a["why"], a["outcome"]) for a in record["attempts"]] == [
            ("first", "cancelled"),
            ("hedge", "ok"),
        ]
        client.hang_up()

    run(tmp_path, win)
