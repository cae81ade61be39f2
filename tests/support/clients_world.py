"""One gateway for every official client: chat, vectors and judgements, one scripted upstream."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import openai
from aiohttp import web
from configs import write_config
from dialect_world import POLICY, PROMPT, STRICT, answers
from running import Server, run, serving
from upstream import (
    USAGE,
    Answer,
    Upstream,
    chunk,
    embeds,
    replies,
    says,
    send_events,
    sse,
    upstream,
)

EMBEDDER = "text-embedding-3-small"
CONFIG = """\
auth: {{keys: open}}
server: {{max_body_mb: 0.2}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: away, use: openai_compatible, options: {{base_url: "http://127.0.0.1:9/v1"}}}}
  - {{name: echo, use: echo}}
pools:
  - {{name: main, targets: [{{provider: up, model: fake}}], retries: {{attempts: 1}}}}
  - {{name: words, targets: [{{provider: echo, model: echo}}]}}
  - {{name: nowhere, targets: [{{provider: away, model: gone}}], retries: {{attempts: 1}}}}
  - name: impatient
    targets: [{{provider: up, model: fake}}]
    retries: {{attempts: 1}}
    timeouts: {{total_s: 0.3}}
  - name: text-embedding-3-small
    serves: embeddings
    targets: [{{provider: up, model: small-embedder}}]
    retries: {{attempts: 1}}
  - {{name: ranker, serves: rerank, targets: [{{provider: up, model: bge}}]}}
  - {{name: judge, serves: moderation, targets: [{{provider: up, model: omni}}]}}
prices:
  overrides:
    - {{model: up/fake, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
routes:
  - {{name: plain, aliases: [gpt-4o], pool: main}}
  - {{name: spoken, pool: words}}
  - {{name: lost, pool: nowhere}}
  - {{name: hasty, pool: impatient}}
  - {{name: guarded, pool: main, guards: [house]}}
  - {{name: strict, pool: main, guards: [strict]}}
  - {{name: prompted, pool: main, prompt: greet@production}}
"""
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
JUDGED = {
    "id": "modr-1",
    "model": "omni",
    "results": [
        {
            "flagged": True,
            "categories": {name: name == "violence" for name in CATEGORIES},
            "category_scores": {name: 0.5 for name in CATEGORIES},
            "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
        }
    ],
}


@dataclass
class World:
    """The gateway, the upstream and the gateway's configuration."""

    server: Server
    fake: Upstream
    config: Path
    env: dict[str, str] | None = None

    def key(self, *arguments: str) -> str:
        """A new key, made with these arguments of ``headgate keys create``."""
        asked = ("keys", "create", "--name", "app", "--json", "--config", str(self.config))
        done = run(*asked, *arguments, env=self.env)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["key"])

    def record(self, call_id: str) -> dict[str, Any]:
        """The call as its owner may read it."""
        status, call = self.server.get(f"/v1/calls/{call_id}")
        assert status == 200, call
        return dict(call)


@contextmanager
def clients_world(
    folder: Path, more: str = "", env: dict[str, str] | None = None
) -> Iterator[World]:
    """The gateway, ready; ``more`` is put at the end of its configuration, among the routes."""
    for place, name, text in (
        ("guardrails", "house.yaml", POLICY),
        ("guardrails", "strict.yaml", STRICT),
        ("prompts", "greet.md", PROMPT),
    ):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / name).write_text(text)
    with upstream(well()) as fake:
        config = write_config(folder, CONFIG.format(url=fake.url) + more)
        with serving(config, env=env) as server:
            yield World(server, fake, config, env)


def well(*pieces: str) -> Answer:
    """What an upstream that is well answers, by the path that was called."""
    ways = {
        "/v1/chat/completions": says(*(pieces or ("Hello", " world"))),
        "/v1/embeddings": embeds(),
        "/v1/moderations": replies(JUDGED),
    }

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await ways[request.path](request, body)

    return answer


def in_turn(calls: Sequence[dict[str, Any]], pieces: int = 4) -> Answer:
    """Calls tools one after the other, as OpenAI does: as a whole, or in deltas of ``pieces``."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            return await answers({"tool_calls": list(calls)}, "tool_calls")(request, body)
        deltas: list[dict[str, Any]] = []
        for index, one in enumerate(calls):
            name, text = one["function"]["name"], one["function"]["arguments"]
            function: dict[str, Any] = {"name": name, "arguments": ""}
            deltas.append({"index": index, "id": one["id"], "type": "function"})
            deltas[-1]["function"] = function
            cuts = range(0, len(text), pieces)
            parts = [{"arguments": text[at : at + pieces]} for at in cuts]
            deltas += [{"index": index, "function": part} for part in parts]
        events = [sse(chunk({"role": "assistant", "content": None}))]
        events += [sse(chunk({"tool_calls": [delta]})) for delta in deltas]
        ends = [sse(chunk({}, "tool_calls")), sse(USAGE), b"data: [DONE]\n\n"]
        return await send_events(request, [*events, *ends])

    return answer


Ask = Callable[[Any], Any]
"""What is asked of a client; in the asynchronous one it makes an awaitable."""


class Caller(Protocol):
    """The official client in one of its two forms."""

    def ask(self, what: Ask, **options: Any) -> Any:
        """What the call returns."""

    def streamed(self, what: Ask, final: str = "") -> tuple[list[Any], Any]:
        """The events of a stream, and what its method ``final`` returns afterwards."""


@dataclass(frozen=True)
class Sync:
    """``openai.OpenAI``."""

    url: str

    def ask(self, what: Ask, **options: Any) -> Any:
        """What the call returns."""
        given = {"api_key": "none", "max_retries": 0, **options}
        with openai.OpenAI(**given, base_url=self.url) as client:
            return what(client)

    def streamed(self, what: Ask, final: str = "") -> tuple[list[Any], Any]:
        """The events of a stream, and what its method ``final`` returns afterwards."""
        with (
            openai.OpenAI(base_url=self.url, api_key="none", max_retries=0) as client,
            what(client) as stream,
        ):
            events = list(stream)
            return events, getattr(stream, final)() if final else None


@dataclass(frozen=True)
class Async:
    """``openai.AsyncOpenAI``."""

    url: str

    def ask(self, what: Ask, **options: Any) -> Any:
        """What the call returns, awaited."""

        async def whole() -> Any:
            given = {"api_key": "none", "max_retries": 0, **options}
            async with openai.AsyncOpenAI(**given, base_url=self.url) as client:
                return await what(client)

        return asyncio.run(whole())

    def streamed(self, what: Ask, final: str = "") -> tuple[list[Any], Any]:
        """The events of a stream, and what its method ``final`` returns afterwards."""

        async def whole() -> tuple[list[Any], Any]:
            async with openai.AsyncOpenAI(base_url=self.url, api_key="none", max_retries=0) as c:
                made = what(c)
                async with await made if inspect.isawaitable(made) else made as stream:
                    events = [event async for event in stream]
                    return events, await getattr(stream, final)() if final else None

        return asyncio.run(whole())
