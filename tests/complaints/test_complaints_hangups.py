"""A hundred clients leave at once, in each phase of a call and at each endpoint of chat."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hangup_world import (
    ASKED,
    Phase,
    World,
    first_words,
    half_a_body,
    recorded,
    run,
    scripted,
    silent,
)
from in_process import eventually

CLIENTS = 100


async def all_left(w: World, *, sent: bool) -> None:
    """All calls are closed as cancelled, what is known of them is booked, and nothing is held."""
    await recorded(w, CLIENTS)
    assert len(w.place.records) == CLIENTS
    for record in w.place.records:
        assert (record["outcome"], record["status"]) == ("cancelled", 499)
        assert [a["outcome"] for a in record["attempts"]] == ["cancelled"] * sent
        assert record["usage"]["estimated"] == sent
        assert bool(record["usage"]["input_tokens"]) == sent
    await eventually(lambda: w.fake.open == 0, "a connection to the upstream is left")


@pytest.mark.parametrize("at", ASKED)
@pytest.mark.parametrize(
    ("phase", "stream"),
    [(silent, True), (first_words, True), (silent, False), (half_a_body, False)],
)
def test_a_hundred_clients_leave_and_the_upstream_sees_a_hundred_aborts(
    tmp_path: Path, phase: Phase, stream: bool, at: str
) -> None:
    async def leave(w: World) -> None:
        scripted(w, phase)
        clients = await asyncio.gather(
            *(w.call("wide", stream=stream, at=at) for _ in range(CLIENTS))
        )
        await eventually(lambda: len(w.fake.requests) == CLIENTS, "not all calls were sent")
        if phase is first_words:
            await asyncio.gather(*(client.got(b"Once upon") for client in clients))
        for client in clients:
            client.hang_up()
        await eventually(lambda: len(w.left) == CLIENTS, "the upstream was not left by all")
        await all_left(w, sent=True)
        output = {r["usage"]["output_tokens"] > 0 for r in w.place.records}
        assert output == {phase is first_words}
        streamed = "mid_stream" if phase is first_words else "before_first_byte"
        where = {r["cancelled_in"] for r in w.place.records}
        assert where == {streamed if stream else "whole_reply"}

    run(tmp_path, leave)


@pytest.mark.parametrize("at", ASKED)
def test_a_hundred_clients_leave_the_queue_and_were_never_sent(tmp_path: Path, at: str) -> None:
    async def leave(w: World) -> None:
        scripted(w, first_words)
        queue = w.pool("line").queue
        assert queue is not None
        holder = await w.call("line", stream=True)
        await holder.got(b"Once upon")
        clients = await asyncio.gather(
            *(w.call("line", stream=n % 2 == 0, at=at) for n in range(CLIENTS))
        )
        await eventually(lambda: queue.length == CLIENTS, "not all calls wait")
        for client in clients:
            client.hang_up()
        await eventually(lambda: queue.length == 0, "calls still wait")
        await eventually(lambda: len(w.place.records) == CLIENTS, "not all are on record")
        assert len(w.fake.requests) == 1
        waited = list(w.place.records)
        assert {
            (r["outcome"], r["cancelled_in"], len(r["attempts"]), r["cost_pico"]) for r in waited
        } == {("cancelled", "queued", 0, 0)}
        holder.hang_up()
        await recorded(w, CLIENTS + 1)

    run(tmp_path, leave)
