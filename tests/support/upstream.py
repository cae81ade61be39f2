"""A scripted model server that speaks OpenAI's chat wire on loopback."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from struct import pack
from typing import Any

import orjson
from aiohttp import web

ENDPOINTS = (
    *("chat/completions", "embeddings", "rerank", "moderations"),
    *("responses", "completions", "messages"),
)
"""What the fake answers below ``/v1``."""

Json = dict[str, Any]
Answer = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]


def completion(text: str, model: str = "fake") -> Json:
    """A whole chat completion that says ``text``."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    }


def chunk(delta: Json, finish: str | None = None) -> Json:
    """A chunk with one choice."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


USAGE = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "fake",
    "choices": [],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


def sse(body: Json) -> bytes:
    """One event."""
    return b"data: " + orjson.dumps(body) + b"\n\n"


def stream_of(pieces: Sequence[str], *, done: bool = True, finish: bool = True) -> list[bytes]:
    """The events of a stream that says ``pieces``."""
    events = [sse(chunk({"role": "assistant", "content": ""}))]
    events += [sse(chunk({"content": p})) for p in pieces]
    if finish:
        events += [sse(chunk({}, "stop")), sse(USAGE)]
    if done:
        events.append(b"data: [DONE]\n\n")
    return events


def says(*pieces: str, done: bool = True, finish: bool = True) -> Answer:
    """Answers with the pieces: as a whole, or as a stream with one chunk a piece."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        if not body.get("stream"):
            return web.json_response(completion("".join(pieces)))
        return await send_events(request, stream_of(pieces, done=done, finish=finish))

    return answer


async def send_events(request: web.Request, events: Sequence[bytes]) -> web.StreamResponse:
    """An event stream of exactly these bytes, a write each."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for event in events:
        await response.write(event)
    return response


def vectors_of(inputs: Sequence[Any]) -> list[list[float]]:
    """A vector for each input: its length and its place, exact in 32 bits."""
    return [[float(len(one)), float(index), 0.5] for index, one in enumerate(inputs)]


def embeds(tokens: int | None = 9) -> Answer:
    """Answers with ``vectors_of`` the inputs, in base64 where that is asked for."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        given = body["input"]
        single = isinstance(given, str) or (bool(given) and isinstance(given[0], int))
        found: list[Any] = list(vectors_of([given] if single else given))
        if body.get("encoding_format") == "base64":
            found = [b64encode(pack(f"<{len(v)}f", *v)).decode() for v in found]
        data = [
            {"object": "embedding", "index": i, "embedding": vector}
            for i, vector in enumerate(found)
        ]
        reply: Json = {"object": "list", "data": data, "model": "fake-embedder"}
        if tokens is not None:
            reply["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
        return web.json_response(reply)

    return answer


def replies(body: Json) -> Answer:
    """Answers with exactly this body."""

    async def answer(request: web.Request, asked: Json) -> web.StreamResponse:
        return web.json_response(body)

    return answer


def fails(status: int, message: str = "broken", headers: dict[str, str] | None = None) -> Answer:
    """Answers with an error status and OpenAI's envelope."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        error = {"message": message, "type": "x", "param": None, "code": None}
        return web.json_response({"error": error}, status=status, headers=headers)

    return answer


@dataclass
class Upstream:
    """A running fake: ``answers`` in turn, the last one stays; ``seen`` holds the bodies."""

    answers: list[Answer]
    url: str = ""
    seen: list[Json] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client closed its connection before the answer was complete."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        body = await request.json()
        self.seen.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            return await answer(request, body)
        except (asyncio.CancelledError, ConnectionResetError):
            self.hung_up.set()
            raise


@contextmanager
def upstream(*answers: Answer) -> Iterator[Upstream]:
    """A fake in a thread of its own, with its own event loop."""
    fake = Upstream(list(answers) or [says("Hello", " world")])
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    runners: list[web.AppRunner] = []

    async def start() -> None:
        app = web.Application()
        for endpoint in ENDPOINTS:
            app.router.add_post(f"/v1/{endpoint}", fake.handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        fake.url = f"http://127.0.0.1:{port}/v1"
        runners.append(runner)
        ready.set()

    def run() -> None:
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runners[0].cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
