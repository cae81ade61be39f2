"""C45: which failures are tried again, in front of real sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_process import Place
from outage_world import answers, asked, good, hangs, with_gateway
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange, RawUpstream


async def resets(exchange: Exchange) -> None:
    exchange.reset()


async def nonsense(exchange: Exchange) -> None:
    await exchange.json(200, b"{not json")


async def cut_off(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.write(STREAM_HEAD + CHUNKED)
    else:
        await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
    exchange.writer.close()


AGAIN = (408, 409, 425, 429, 500, 501, 502, 503, 504, 529)
NEXT_TARGET = (401, 402, 403)
"""The target's keys are refused: it is not asked again, another one is."""
NEVER = (400, 404, 405, 413, 418, 422)
TABLE = [
    *(
        (str(status), answers(status), status not in NEVER)
        for status in AGAIN + NEXT_TARGET + NEVER
    ),
    ("reset", resets, True),
    ("hangs", hangs, True),
    ("nonsense", nonsense, True),
    ("cut off", cut_off, True),
]


@pytest.mark.parametrize(("name", "script", "again"), TABLE, ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("stream", [False, True])
def test_which_failures_are_tried_again(
    tmp_path: Path, name: str, script: Any, again: bool, stream: bool
) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        async def first_fails(exchange: Exchange) -> None:
            await (script if exchange.body["model"] == "first" else good)(exchange)

        fake.script = first_fails
        answer = await place.chat("two", stream=stream)
        assert (answer.status == 200) == again, answer.body
        assert asked(fake) == ["first", "second"][: 1 + again]
        if name in map(str, NEXT_TARGET):
            fake.requests.clear()
            assert (await place.chat("one", stream=stream)).status == 502
            assert asked(fake) == ["first"]

    with_gateway(tmp_path, work)


def test_a_refused_connection_is_tried_elsewhere(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        answer = await place.chat("refused")
        assert (answer.status, asked(fake)) == (200, ["second"])
        assert answer.headers["x-headgate-attempts"] == "2"

    with_gateway(tmp_path, work)


def test_no_wait_for_retry_after_is_longer_than_the_client_waits(tmp_path: Path) -> None:
    busy = b"".join((b'{"error": {"message": "busy", "type": "x"}}',))

    async def throttled(exchange: Exchange) -> None:
        await exchange.json(429, busy, "Retry-After: 3\r\n")

    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = throttled
        message = [{"role": "user", "content": "x"}]
        body = {"model": "one", "messages": message}
        answer = await place.ask(body, headers={"x-stainless-read-timeout": "2.0"})
        assert (answer.status, len(fake.requests)) == (429, 1)
        assert answer.headers["retry-after"] == "3"

    with_gateway(tmp_path, work)


def test_retries_of_the_clients_own_sdk_earn_no_further_retries(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream) -> None:
        fake.script = answers(503)
        body = {"model": "two", "messages": [{"role": "user", "content": "x"}]}
        for _ in range(200):
            again = await place.ask(body, headers={"x-stainless-retry-count": "1"})
            assert again.status == 502
        assert 200 < len(fake.requests) <= 200 + 10, "the reserve, and nothing on top"

    with_gateway(tmp_path, work)
