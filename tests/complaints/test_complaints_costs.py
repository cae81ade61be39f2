"""No call with tokens and a known price is booked at nothing, whatever the upstream reports."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from configs import write_config
from running import Server, headgate, run, serving, until
from upstream import Upstream, chunk, completion, embeds, send_events, sse, upstream

Json = dict[str, Any]

ENV = {"TEST_KEY": "k"}
WORDS = "A whole answer of several words."
REPORTS: dict[str, Json | None] = {
    "everything": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
    "nothing": None,
    "zeros": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "no output": {"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11},
    "the total alone": {"total_tokens": 18},
}
CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: sdk, use: litellm, options: {{api_base: "{url}", api_key: "env:TEST_KEY"}}}}
  - {{name: here, use: echo}}
pools:
  - {{name: direct, targets: [{{provider: up, model: fake}}]}}
  - {{name: hosted, targets: [{{provider: sdk, model: openai/gpt-4.1-mini}}]}}
  - {{name: free, targets: [{{provider: here, model: echo}}]}}
  - {{name: nameless, targets: [{{provider: up, model: unheard-of}}]}}
  - {{name: vectors, serves: embeddings, targets: [{{provider: up, model: embedder}}]}}
  - name: sdk-vectors
    serves: embeddings
    targets: [{{provider: sdk, model: openai/text-embedding-3-small}}]
prices:
  overrides:
    - {{model: up/fake, input_per_mtok_usd: 0.40, output_per_mtok_usd: 1.60}}
    - {{model: up/embedder, input_per_mtok_usd: 0.02, output_per_mtok_usd: 0}}
"""


@dataclass
class Place:
    server: Server
    fake: Upstream
    config: Path

    def records(self, count: int) -> list[Json]:
        """The latest calls, complete."""
        options = ("--limit", str(count), "--json", "--config", str(self.config))
        done = headgate("traces", "list", *options, env=ENV)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        rows: list[Json] = found["calls"] if isinstance(found, dict) else found
        return rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with upstream() as fake:
        config = write_config(tmp_path_factory.mktemp("costs"), CONFIG.format(url=fake.url))
        with serving(config, env=ENV) as server:
            yield Place(server, fake, config)


def reporting(usage: Json | None) -> Any:
    """An upstream that says ``WORDS`` and reports this usage."""

    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        told: Json = {} if usage is None else {"usage": usage}
        if not body.get("stream"):
            whole = completion(WORDS)
            del whole["usage"]
            return web.json_response(whole | told)
        events = [chunk({"role": "assistant", "content": ""}), chunk({"content": WORDS})]
        events += [chunk({}, "stop"), *([{**chunk({}), "choices": [], **told}] if told else [])]
        return await send_events(request, [*map(sse, events), b"data: [DONE]\n\n"])

    return answer


def asked(path: str, model: str, *, stream: bool) -> Json:
    messages = [{"role": "user", "content": "How much is the fish?"}]
    bodies: dict[str, Json] = {
        "/v1/chat/completions": {"messages": messages},
        "/v1/completions": {"prompt": "How much is the fish?"},
        "/v1/messages": {"messages": messages, "max_tokens": 50},
        "/v1/responses": {"input": "How much is the fish?", "store": False},
    }
    return {"model": model, "stream": stream, **bodies[path]}


def booked(place: Place, path: str, body: Json) -> Json:
    """The record of one call, read as its caller may."""
    request = urllib.request.Request(
        place.server.url + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()
        status, call = place.server.get(f"/v1/calls/{response.headers['x-request-id']}")
    assert status == 200, call
    return dict(call)


PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses")


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("model", ["direct", "hosted"])
@pytest.mark.parametrize("path", PATHS)
def test_no_answer_is_booked_at_nothing(place: Place, path: str, model: str, report: str) -> None:
    place.fake.answers[:] = [reporting(REPORTS[report])]
    for stream in (False, True):
        call = booked(place, path, asked(path, model, stream=stream))
        assert call["outcome"] == "ok"
        assert float(call["cost_usd"]) > 0, (stream, call)
        assert call["usage"]["input_tokens"] > 0 and call["usage"]["output_tokens"] > 0
        if report == "everything":
            assert (call["cost_usd"], call["usage"]["estimated"]) == ("0.0000156", False)
        else:
            assert call["usage"]["estimated"], stream


@pytest.mark.parametrize("tokens", [9, 0, None])
@pytest.mark.parametrize("model", ["vectors", "sdk-vectors"])
def test_no_embedding_is_booked_at_nothing(place: Place, model: str, tokens: int | None) -> None:
    place.fake.answers[:] = [embeds(tokens)]
    call = booked(place, "/v1/embeddings", {"model": model, "input": ["some text", "more text"]})
    assert float(call["cost_usd"]) > 0
    assert call["usage"]["estimated"] == (not tokens)
    assert not tokens or call["cost_usd"] == "0.00000018"


def test_what_is_free_says_so_and_what_has_no_price_is_not_free(place: Place) -> None:
    place.fake.answers[:] = [reporting(REPORTS["everything"])]
    path = "/v1/chat/completions"
    free = booked(place, path, asked(path, "free", stream=False))
    assert (free["cost_usd"], free["unpriced"]) == ("0", False)
    assert free["attempts"][0]["price"].startswith("free")
    for stream in (False, True):
        nameless = booked(place, path, asked(path, "nameless", stream=stream))
        assert (nameless["cost_usd"], nameless["unpriced"]) == (None, True)
        assert nameless["attempts"][0]["price"].startswith("unpriced")
    newest_first = [True, True, False]
    until(lambda: [row["unpriced"] for row in place.records(3)] == newest_first)


@pytest.mark.parametrize("command", [("check",), ("serve", "--port", "1")])
def test_a_pool_may_refuse_models_without_a_price(tmp_path: Path, command: tuple[str, ...]) -> None:
    text = (
        "auth: {keys: open}\n"
        "providers:\n"
        '  - {name: up, use: openai_compatible, options: {base_url: "http://127.0.0.1:9/v1"}}\n'
        "pools:\n"
        "  - {name: plain, targets: [{provider: up, model: nameless}]}\n"
        "  - {name: strict, unpriced: refuse, targets: [{provider: up, model: nameless}]}\n"
    )
    config = tmp_path / "gateway.yaml"
    config.write_text(text)
    refused = run(*command, "--config", str(config))
    assert refused.returncode == 2
    assert "No price is known for up/nameless of pool 'strict'" in refused.stderr
    assert "prices.overrides" in refused.stderr
    config.write_text(
        text + "prices:\n  overrides: [{model: up/nameless, input_per_mtok_usd: 1, "
        "output_per_mtok_usd: 2}]\n"
    )
    assert headgate("check", "--config", str(config)).returncode == 0
