"""A pure gateway is light: what it never uses, it never loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from configs import proxy_config
from upstream import upstream

PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from headgate_gateway.http.app import App
from headgate_gateway.http.overrides import source_of

async def main():
    app = App(source_of(Path(sys.argv[1]), {}), lambda error: print(error, file=sys.stderr))
    inbox, sent = asyncio.Queue(), asyncio.Queue()
    life = asyncio.create_task(app({"type": "lifespan"}, inbox.get, sent.put))
    await inbox.put({"type": "lifespan.startup"})
    await sent.get()
    status = await call(app, "GET", "/health", b"")
    answer = await call(app, "POST", "/v1/chat/completions", sys.argv[2].encode())
    await inbox.put({"type": "lifespan.shutdown"})
    await life
    heavy = ("torch", "litellm", "guardrails", "ragas", "transformers", "sentence_transformers")
    loaded = [m for m in heavy if m in sys.modules]
    print(json.dumps({"statuses": [status, answer], "loaded": loaded}))

async def call(app, method, path, body):
    inbox, sent = asyncio.Queue(), []
    await inbox.put({"type": "http.request", "body": body})
    async def send(message):
        sent.append(message)
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers,
             "client": ("127.0.0.1", 1)}
    await app(scope, inbox.get, send)
    return sent[0]["status"]

asyncio.run(main())
"""


def test_a_pure_gateway_loads_no_model_library(tmp_path: Path) -> None:
    body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
    with upstream() as fake:
        config = proxy_config(tmp_path, fake.url)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(config), json.dumps(body)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"statuses": [200, 200], "loaded": []}
