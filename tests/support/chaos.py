"""An upstream that goes wrong in every way there is, by a script made from a seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from raw_upstream import CHUNKED, STREAM_HEAD, Exchange
from upstream import chunk, completion, sse, stream_of

Json = dict[str, Any]

HUGE = 200_000
"""Bytes that are more than the gateway is set to take."""


@dataclass
class Told:
    """One request of one call, and the word by which its answer is known again."""

    exchange: Exchange
    word: str
    pause_s: float

    @property
    def stream(self) -> bool:
        return bool(self.exchange.body.get("stream"))

    @property
    def whole(self) -> bytes:
        return orjson.dumps(completion(" ".join([self.word] * 3)))

    @property
    def events(self) -> list[bytes]:
        return stream_of([f"{self.word} "] * 3)

    async def begin(self) -> None:
        """The first content of a stream, or half of a whole body."""
        if not self.stream:
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            await self.exchange.write(head % len(self.whole) + self.whole[:40])
            return
        await self.exchange.write(STREAM_HEAD + CHUNKED)
        for event in self.events[:2]:
            await self.exchange.chunk(event)


async def good(told: Told) -> None:
    if told.stream:
        await told.exchange.stream(told.events)
    else:
        await told.exchange.json(200, told.whole)


async def late(told: Told) -> None:
    await asyncio.sleep(told.pause_s)
    await good(told)


async def drip(told: Told) -> None:
    await told.exchange.write(STREAM_HEAD + CHUNKED)
    for event in told.events:
        await told.exchange.chunk(event)
        await asyncio.sleep(told.pause_s)
    await told.exchange.write(b"0\r\n\r\n")


async def drip_of_bytes(told: Told) -> None:
    await told.exchange.write(STREAM_HEAD + CHUNKED)
    for n in range(2000):
        await told.exchange.chunk(b"data: "[n % 6 : n % 6 + 1])
        await asyncio.sleep(told.pause_s)


async def comments_for_ever(told: Told) -> None:
    await told.exchange.write(STREAM_HEAD + CHUNKED)
    while True:
        await told.exchange.chunk(b": working\n\n")
        await asyncio.sleep(told.pause_s)


async def reset_at_once(told: Told) -> None:
    told.exchange.reset()


async def close_at_once(told: Told) -> None:
    told.exchange.writer.close()


async def reset_after_headers(told: Told) -> None:
    await told.exchange.write(STREAM_HEAD + CHUNKED)
    told.exchange.reset()


async def reset_in_the_middle(told: Told) -> None:
    await told.begin()
    told.exchange.reset()


async def close_in_the_middle(told: Told) -> None:
    await told.begin()
    told.exchange.writer.close()


async def hang_in_the_middle(told: Told) -> None:
    await told.begin()
    await told.exchange.gone()


async def hang(told: Told) -> None:
    await told.exchange.gone()


async def truncated(told: Told) -> None:
    if told.stream:
        await told.exchange.stream([*told.events[:3], b'data: {"choi'])
    else:
        await told.exchange.json(200, told.whole[:60])


async def no_finish(told: Told) -> None:
    await told.exchange.stream([*told.events[:4], b"data: [DONE]\n\n"])


async def error_in_stream(told: Told) -> None:
    await told.exchange.stream([*told.events[:1], sse({"error": {"message": "no", "code": 503}})])


async def late_error_in_stream(told: Told) -> None:
    await told.exchange.stream(
        [*told.events[:2], sse({"error": {"message": "no"}}), told.events[-1]]
    )


async def huge(told: Told) -> None:
    body = orjson.dumps(completion("x" * HUGE))
    if told.stream:
        await told.exchange.stream([b"data: " + b"x" * HUGE, b"x" * HUGE])
    else:
        await told.exchange.json(200, body)


async def wrong_type(told: Told) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>"
    await told.exchange.write(head)


async def not_http(told: Told) -> None:
    await told.exchange.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    told.exchange.writer.close()


async def nonsense(told: Told) -> None:
    if told.stream:
        await told.exchange.stream([sse({**chunk({}), "choices": [7]})])
    else:
        await told.exchange.json(200, b'{"choices": [7]}')


async def empty(told: Told) -> None:
    if told.stream:
        await told.exchange.stream([])
    else:
        await told.exchange.json(200, b"")


def status(code: int, headers: str = "") -> Behaviour:
    async def answer(told: Told) -> None:
        await told.exchange.json(code, b'{"error": {"message": "no"}}', headers)

    answer.__name__ = f"status {code} {headers.strip()}"
    return answer


Behaviour = Callable[[Told], Awaitable[None]]

WHOLE: list[Behaviour] = [
    late,
    reset_at_once,
    close_at_once,
    reset_in_the_middle,
    close_in_the_middle,
    hang,
    hang_in_the_middle,
    truncated,
    huge,
    wrong_type,
    not_http,
    nonsense,
    empty,
    status(500),
    status(503, "Retry-After: 30\r\n"),
    status(429),
    status(429, "Retry-After: 0.01\r\n"),
    status(429, "Retry-After: 30\r\n"),
    status(400),
    status(401),
    status(404),
]
STREAMED: list[Behaviour] = [
    *WHOLE,
    drip,
    drip_of_bytes,
    comments_for_ever,
    reset_after_headers,
    no_finish,
    error_in_stream,
    late_error_in_stream,
]


@dataclass
class Scenario:
    """One call: what each of its attempts meets, and when the client leaves."""

    name: str
    stream: bool
    route: str
    behaviours: list[Behaviour]
    pause_s: float
    leaves_after: int | None
    """Pieces after which the client hangs up; 0 = as soon as the upstream is asked."""
    seen: int = 0
    """Requests that the upstream saw."""
    hangup: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def made(cls, seed: int) -> Scenario:
        """The scenario of this seed, always the same."""
        source = random.Random(seed)
        stream = source.random() < 0.6
        bad = STREAMED if stream else WHOLE
        behaviours: list[Behaviour] = [source.choice(bad) for _ in range(source.randint(0, 6))]
        return cls(
            name=f"s{seed}",
            stream=stream,
            route=source.choice(["plain", "plain", "captured", "narrow"]),
            behaviours=[*behaviours, good],
            pause_s=source.choice([0.0, 0.005, 0.02]),
            leaves_after=source.choice([None] * 6 + [0, 1, 2]),
        )

    async def answer(self, exchange: Exchange) -> None:
        """Meet one attempt; the last behaviour stays."""
        behaviour = self.behaviours[min(self.seen, len(self.behaviours) - 1)]
        self.seen += 1
        if self.leaves_after == 0:
            self.hangup.set()
        await behaviour(Told(exchange, f"attempt{self.seen}", self.pause_s))

    def __str__(self) -> str:
        names = ", ".join(b.__name__ for b in self.behaviours)
        leaves = "" if self.leaves_after is None else f", leaves after {self.leaves_after}"
        return f"{self.name} {self.route} {'stream' if self.stream else 'whole'}: {names}{leaves}"
