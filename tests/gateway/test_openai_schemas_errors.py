"""Every error status comes in the published envelope of the dialect that was spoken."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from clients_world import EMBEDDER, World, clients_world, well
from published import check
from upstream import Answer, fails

MORE = "  - {name: broken, pool: main, guards: [broken]}\n"
BROKEN = """\
name: broken
checks: [{name: never, use: "guard_checks:Broken", at: [input], action: block}]
"""
SUPPORT = Path(__file__).resolve().parent.parent / "support"


async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


@dataclass
class Setting:
    """A world with the keys that some errors need."""

    world: World
    narrow: str
    limited: str


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("envelopes")
    (folder / "guardrails").mkdir()
    (folder / "guardrails" / "broken.yaml").write_text(BROKEN)
    path = os.pathsep.join(filter(None, [str(SUPPORT), os.environ.get("PYTHONPATH")]))
    with clients_world(folder, MORE, {"PYTHONPATH": path}) as world:
        limited = world.key("--requests-per-minute", "1", "--model", "plain", "--model", EMBEDDER)
        made = Setting(world, world.key("--model", "strict"), limited)
        world.server.chat("plain", "hi")
        world.server.post(
            "/v1/chat/completions",
            {"model": "plain", "messages": [{"role": "user", "content": "hi"}]},
            {"Authorization": f"Bearer {limited}"},
        )
        yield made


@dataclass
class Asked:
    """A request that is about to fail."""

    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


Spoil = Callable[[Asked, Setting], Answer | None]


def _bad(asked: Asked, setting: Setting) -> None:
    asked.body["model"] = 7


def _unknown(asked: Asked, setting: Setting) -> None:
    asked.headers["Authorization"] = "Bearer hg-wrong"


def _forbidden(asked: Asked, setting: Setting) -> None:
    asked.headers["Authorization"] = f"Bearer {setting.narrow}"


def _missing(asked: Asked, setting: Setting) -> None:
    asked.body["model"] = "none"


def _method(asked: Asked, setting: Setting) -> None:
    asked.method = "GET"


def _large(asked: Asked, setting: Setting) -> None:
    asked.body["user"] = "x" * 300_000


def _limited(asked: Asked, setting: Setting) -> None:
    asked.headers["Authorization"] = f"Bearer {setting.limited}"


def _lost(asked: Asked, setting: Setting) -> None:
    asked.body["model"] = "lost"


def _guard(asked: Asked, setting: Setting) -> None:
    asked.body["model"] = "broken"


def _late(asked: Asked, setting: Setting) -> Answer:
    asked.body["model"] = "hasty"
    return silent


SPOILT: dict[int, Spoil] = {
    400: _bad,
    401: _unknown,
    403: _forbidden,
    404: _missing,
    405: _method,
    413: _large,
    422: lambda asked, setting: fails(422, "not so"),
    429: _limited,
    502: lambda asked, setting: fails(500),
    503: _guard,
    504: _late,
}
MESSAGES = [{"role": "user", "content": "Say hello."}]
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": MESSAGES},
    "completions": {"prompt": "Say hello."},
    "responses": {"input": "Say hello."},
    "messages": {"messages": MESSAGES, "max_tokens": 100},
    "embeddings": {"input": "Say hello.", "model": EMBEDDER},
}
CASES = [
    (status, path, stream)
    for status, path, stream in itertools.product(SPOILT, BODIES, (False, True))
    if path != "embeddings" or not (stream or status in (503, 504))
]


def send(setting: Setting, asked: Asked, path: str = "chat/completions") -> tuple[int, Any]:
    data = json.dumps(asked.body).encode() if asked.method == "POST" else None
    request = urllib.request.Request(
        f"{setting.world.server.url}/v1/{path}",
        data=data,
        headers={"Content-Type": "application/json", **asked.headers},
        method=asked.method,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def check_error(path: str, status: int, answer: tuple[int, Any]) -> None:
    found, body = answer
    assert found == status, body
    if path == "messages":
        check(body, "anthropic", "error")
    else:
        check(body, "openai", "error")


@pytest.mark.parametrize(("status", "path", "stream"), CASES)
def test_an_error_comes_in_the_published_envelope(
    setting: Setting, status: int, path: str, stream: bool
) -> None:
    asked = Asked({"model": "plain", **BODIES[path]})
    if stream:
        asked.body["stream"] = True
    answer = SPOILT[status](asked, setting)
    setting.world.fake.answers[:] = [answer or well()]
    check_error(path, status, send(setting, asked, path))


@pytest.mark.parametrize("path", [path for path in BODIES if path != "embeddings"])
def test_a_conflict_comes_in_the_published_envelope(setting: Setting, path: str) -> None:
    setting.world.fake.answers[:] = [well()]
    asked = Asked({"model": "plain", **BODIES[path]}, {"Idempotency-Key": f"k-{path}"})
    assert send(setting, asked, path)[0] == 200
    asked.body["temperature"] = 1
    check_error(path, 409, send(setting, asked, path))
