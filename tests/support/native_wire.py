"""Replies in the wires beside chat, as an upstream that speaks them itself would send them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from configs import write_config
from in_process import Answer, Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream

Json = dict[str, Any]

CONFIG = """\
auth: {{keys: open}}
providers:
  - name: up
    use: openai_compatible
    options: {{base_url: "{url}", native: [responses, completions]}}
  - {{name: other, use: openai_compatible, options: {{base_url: "{url}", native: [responses]}}}}
  - name: labelled
    use: openai_compatible
    options: {{base_url: "{url}", native: [responses, completions], forward_metadata: true}}
  - {{name: plain, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: echo, use: echo}}
prices:
  overrides:
    - {{model: up/one, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
    - {{model: plain/chat, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
pools:
  - {{name: main, targets: [{{provider: up, model: one}}], retries: {{attempts: 1}}}}
  - {{name: labels, targets: [{{provider: labelled, model: one}}], retries: {{attempts: 1}}}}
  - {{name: twice, targets: [{{provider: up, model: one}}], retries: {{attempts: 2}}}}
  - name: safe
    targets: [{{provider: up, model: one}}]
    retries: {{attempts: 1}}
    fallbacks: [chats]
  - {{name: chats, targets: [{{provider: plain, model: chat}}], retries: {{attempts: 1}}}}
  - name: mixed
    targets: [{{provider: plain, model: chat}}, {{provider: up, model: one}}]
    retries: {{attempts: 2}}
  - name: pair
    targets: [{{provider: up, model: one}}, {{provider: other, model: two}}]
    retries: {{attempts: 2}}
  - name: queued
    targets: [{{provider: up, model: one}}]
    queue: {{in_flight_per_target: 1, waiting: 5, wait_s: 30}}
  - {{name: loose, targets: [{{provider: echo, model: echo}}], drop_unsupported: true}}
  - {{name: words, targets: [{{provider: echo, model: echo}}]}}
routes:
  - name: short
    pool: main
    parameters: {{max_tokens: 50, temperature: 0.5}}
    locked: [max_tokens]
  - {{name: formed, pool: main, parameters: {{response_format: {{type: text}}}}}}
  - {{name: captured, pool: main, capture: full}}
"""

USAGE: Json = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 18,
}


def response(text: str, status: str = "completed", **members: Any) -> Json:
    """A whole response that says ``text``."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": status}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "one-2026",
        "error": None,
        "incomplete_details": None,
        "output": [{**item, "content": [part]}] if text else [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE if status in ("completed", "incomplete") else None,
        "unknown_member": {"kept": True},
        **members,
    }


def events_of(pieces: Sequence[str], last: Json | None = None) -> list[bytes]:
    """The stream that says ``pieces`` and ends with ``last``: completed, when it is not given."""
    begun = response("", "in_progress")
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress"}
    at: Json = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    rows: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": part},
        *({"type": "response.output_text.delta", **at, "delta": p, "logprobs": []} for p in pieces),
        {"type": "response.output_text.done", **at, "text": "".join(pieces), "logprobs": []},
        last or {"type": "response.completed", "response": response("".join(pieces))},
    ]
    return [event(row | {"sequence_number": n}) for n, row in enumerate(rows)]


def event(body: Json) -> bytes:
    """One named event."""
    return f"event: {body['type']}\ndata: ".encode() + orjson.dumps(body) + b"\n\n"


PIECES = ("Grüß ", "dich, ", "日本 ", "🙂!")
WHOLE = b"".join(events_of(PIECES))
"""A response in text, as its stream."""


def text_chunk(text: str, finish: str | None = None, index: int = 0) -> Json:
    """A chunk of a text completion."""
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "one-2026",
        "choices": [choice],
    }


@dataclass
class World:
    """An open gateway, and the upstream whose bytes the test says."""

    place: Place
    fake: RawUpstream

    async def ask(self, path: str, body: Json, **more: Any) -> Answer:
        """One call below ``/v1``."""
        return await self.place.ask(body, path=f"/v1/{path}", **more)

    async def responded(self, model: str = "main", **members: Any) -> Answer:
        """One call for a response."""
        return await self.ask("responses", {"model": model, "input": "Say hello.", **members})

    def streams(self, pieces: Sequence[bytes], *, end: bool = True) -> None:
        """From now on the upstream streams these pieces."""

        async def script(exchange: Exchange) -> None:
            await exchange.stream(list(pieces), end=end)
            if not end:
                exchange.writer.close()

        self.fake.script = script

    def says(self, body: Json, status: int = 200) -> None:
        """From now on the upstream answers with this body."""
        self.fake.script = lambda exchange: exchange.json(status, orjson.dumps(body))


@asynccontextmanager
async def native_world(folder: Path) -> AsyncIterator[World]:
    """The gateway with pools of every mixture."""

    async def unset(exchange: Exchange) -> None:
        raise AssertionError("the test has set no script")

    async with raw_upstream(unset) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url))
        async with opened(config) as place:
            yield World(place, fake)


Work = Callable[[World], Awaitable[None]]


def run(folder: Path, work: Work) -> None:
    """Runs ``work`` with a world of its own."""

    async def inside() -> None:
        async with native_world(folder) as world:
            await work(world)

    asyncio.run(inside())
