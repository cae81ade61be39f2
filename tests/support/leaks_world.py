"""A guarded gateway whose upstream says what must not get out, and what its store keeps."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from configs import PRICED, write_config
from running import Server, serving
from upstream import Upstream, completion, send_events, sse, upstream

ADDRESS = "jane.doe@example.com"
SECRET = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
Json = dict[str, Any]

POLICY = """\
name: house
refusal: {as: message, text: Not with me.}
checks:
  - name: personal
    use: pii
    at: [input, output, tool_calls, tool_results]
    action: mask
    options: {types: [email]}
  - {name: keys, use: secrets, at: [input, output], action: block}
"""

CONFIG = (
    PRICED
    + """\
routes:
  - {{name: guarded, pool: main, guards: [house], capture: full}}
  - {{name: captured, pool: main, capture: masked}}
  - {{name: locked, pool: main, parameters: {{max_tokens: 10}}, locked: [max_tokens]}}
"""
)


@dataclass
class Place:
    server: Server
    fake: Upstream
    folder: Path

    def rows(self, query: str) -> list[sqlite3.Row]:
        with sqlite3.connect(self.folder / "var" / "headgate.db") as db:
            db.row_factory = sqlite3.Row
            return list(db.execute(query))

    def kept(self) -> str:
        """Everything that the store holds of the calls' texts."""
        rows = self.rows("select record, content from calls")
        blobs = [b for row in rows for b in (row["record"], row["content"]) if b]
        return "\n".join(zlib.decompress(b).decode() for b in blobs)

    def raw_stream(self, model: str, **members: Any) -> str:
        import urllib.request

        body = {"model": model, "stream": True, **members}
        body.setdefault("messages", [{"role": "user", "content": "hi"}])
        request = urllib.request.Request(
            f"{self.server.url}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text: str = response.read().decode()
            return text


@contextmanager
def leaks_world(folder: Path) -> Iterator[Place]:
    """A gateway with a guarded, a captured and a locked route."""
    (folder / "guardrails").mkdir()
    (folder / "guardrails" / "house.yaml").write_text(POLICY)
    with upstream() as fake:
        config = write_config(folder, CONFIG.format(url=fake.url))
        with serving(config) as server:
            yield Place(server, fake, folder)


def answers(body: Json) -> Any:
    async def answer(request: web.Request, _: Json) -> web.StreamResponse:
        return web.json_response(body)

    return answer


def streams(*bodies: Json) -> Any:
    async def answer(request: web.Request, _: Json) -> web.StreamResponse:
        events = [sse(b) for b in bodies] + [b"data: [DONE]\n\n"]
        return await send_events(request, events)

    return answer


def with_message(**members: Any) -> Json:
    body = completion("ok")
    body["choices"][0]["message"].update(members)
    return body
