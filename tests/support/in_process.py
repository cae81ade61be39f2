"""A gateway inside the test's own event loop, asked through ASGI: no process, no client library."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import uvicorn

from headgate_core.context import Context
from headgate_core.errors import ConfigurationError, HeadgateError
from headgate_core.records import CallRecord
from headgate_core.settings.load import load_settings
from headgate_gateway.http.doors import Doors
from headgate_gateway.http.endpoints import Endpoints

Json = dict[str, Any]


@dataclass
class Answer:
    """What a client got, message by message."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    ends: int = 0
    """How often the end of the body was announced: 1, or 0 when the call was cancelled."""

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def data(self) -> list[bytes]:
        """The data of the stream's events, ``[DONE]`` included."""
        lines = [e for e in self.body.split(b"\n\n") if e]
        return [e.split(b"data:", 1)[1].strip() for e in lines if b"data:" in e]

    @property
    def chunks(self) -> list[Json]:
        return [orjson.loads(d) for d in self.data if d != b"[DONE]"]

    @property
    def done(self) -> bool:
        return bool(self.data) and self.data[-1] == b"[DONE]"

    @property
    def text(self) -> str:
        deltas = [c["delta"] for b in self.chunks for c in b.get("choices") or ()]
        return "".join(d.get("content") or "" for d in deltas)

    @property
    def error(self) -> Json | None:
        """The error, whether it is the whole answer or the stream's last event."""
        found: Json | None = None
        if self.status != 200:
            found = self.json["error"]
        elif self.chunks:
            found = self.chunks[-1].get("error")
        return found


@dataclass
class Place:
    """An open gateway and the records of its calls, in the order in which they ended."""

    endpoints: Endpoints
    records: list[CallRecord] = field(default_factory=list)

    async def ask(
        self,
        body: Json,
        *,
        hangup: asyncio.Event | None = None,
        saw: Callable[[bytes], None] | None = None,
        path: str = "/v1/chat/completions",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One call; ``hangup`` is when the client leaves, ``saw`` is told each piece it gets."""
        answer = Answer()
        sent = False

        async def receive() -> Json:
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": orjson.dumps(body), "more_body": False}
            await (hangup or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert answer.status == 0, "a second status"
                answer.status = message["status"]
                answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
                return
            assert answer.status, "a body before the status"
            assert not answer.ends, "a body after its end"
            if message.get("body"):
                answer.pieces.append(message["body"])
                if saw is not None:
                    saw(message["body"])
            answer.ends += not message.get("more_body")

        sent_headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        sent_headers += [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": sent_headers,
            "client": ("127.0.0.1", 1),
            "query_string": b"",
        }
        await self.endpoints(scope, receive, send)
        return answer

    async def chat(self, model: str, **members: Any) -> Answer:
        """One chat call with one user message."""
        messages = [{"role": "user", "content": "Say hello."}]
        return await self.ask({"model": model, "messages": messages, **members})

    async def chat_saw(self, model: str, saw: Callable[[bytes], None]) -> Answer:
        """A streamed call whose pieces ``saw`` is told one by one."""
        messages = [{"role": "user", "content": "Say hello."}]
        return await self.ask({"model": model, "messages": messages, "stream": True}, saw=saw)


async def _no_reload() -> HeadgateError | None:
    return ConfigurationError("nothing is read again here")


@asynccontextmanager
async def opened(config: Path) -> AsyncIterator[Place]:
    """A gateway that is open until the block ends."""
    place = Place(await Endpoints.open(load_settings(config), Doors(), _no_reload))

    def keep(ctx: Context) -> None:
        if ctx.record is not None:
            place.records.append(ctx.record)

    place.endpoints.gateway.parts.hooks.append(keep)
    try:
        yield place
    finally:
        await place.endpoints.gateway.close()


@asynccontextmanager
async def listening(place: Place) -> AsyncIterator[int]:
    """A real server in front of the gateway, in the running event loop; gives its port."""
    config = uvicorn.Config(
        place.endpoints,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        task = asyncio.ensure_future(server.serve([listener]))
        await eventually(lambda: server.started, "the server has not started")
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await task


async def eventually(true: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
    """Wait until ``true``; an assertion error that says ``what`` when it does not come true."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not true():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.002)
