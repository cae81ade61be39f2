"""C27: where a call goes is never the caller's choice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from configs import write_config
from egress_world import NO_PROXIES
from running import Server, headgate, serving
from trap import Trap, trap
from upstream import Upstream, embeds, replies, says, upstream

from headgate_core.errors import UpstreamUntranslated
from headgate_core.ports import ModelRequest
from headgate_gateway.providers.litellm import Litellm

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}", api_keys: ["env:UP_KEY"]}}}}
  - {{name: sdk, use: litellm, options: {{api_key: "env:UP_KEY", api_base: "{url}"}}}}
pools:
  - {{name: chat-up, targets: [{{provider: up, model: fake}}], retries: {{attempts: 1}}}}
  - {{name: chat-sdk, targets: [{{provider: sdk, model: openai/gpt-4.1-mini}}],
      retries: {{attempts: 1}}}}
  - {{name: chat-drop, targets: [{{provider: sdk, model: openai/gpt-4.1-mini}}],
      retries: {{attempts: 1}}, drop_unsupported: true}}
  - {{name: vectors-up, serves: embeddings, targets: [{{provider: up, model: e}}],
      retries: {{attempts: 1}}}}
  - {{name: vectors-sdk, serves: embeddings, retries: {{attempts: 1}},
      targets: [{{provider: sdk, model: openai/text-embedding-3-small}}]}}
  - {{name: ranks-up, serves: rerank, targets: [{{provider: up, model: r}}],
      retries: {{attempts: 1}}}}
  - {{name: ranks-sdk, serves: rerank, targets: [{{provider: sdk, model: hosted_vllm/bge}}],
      retries: {{attempts: 1}}}}
  - {{name: judges-up, serves: moderation, targets: [{{provider: up, model: m}}],
      retries: {{attempts: 1}}}}
  - {{name: judges-sdk, serves: moderation, retries: {{attempts: 1}},
      targets: [{{provider: sdk, model: openai/omni-moderation-latest}}]}}
routes: [{{name: plain, pool: chat-up}}]
"""

MESSAGES = [{"role": "user", "content": "hi"}]
CALLS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("chat/completions", ("chat-up", "chat-sdk", "chat-drop"), {"messages": MESSAGES}),
    ("completions", ("chat-up", "chat-sdk", "chat-drop"), {"prompt": "hi"}),
    ("responses", ("chat-up", "chat-sdk", "chat-drop"), {"input": "hi", "store": False}),
    ("messages", ("chat-up", "chat-sdk", "chat-drop"), {"messages": MESSAGES, "max_tokens": 9}),
    ("embeddings", ("vectors-up", "vectors-sdk"), {"input": "hi"}),
    ("rerank", ("ranks-up", "ranks-sdk"), {"query": "q", "documents": ["d"]}),
    ("moderations", ("judges-up", "judges-sdk"), {"input": "hi"}),
]

MEMBERS: dict[str, dict[str, Any]] = {
    "api_base": {"api_base": "URL"},
    "base_url": {"base_url": "URL"},
    "both, and a key": {"api_base": "URL", "base_url": "URL", "api_key": "sk-mine"},
    "another provider": {"custom_llm_provider": "custom_openai", "base_url": "URL"},
    "headers": {"headers": {"Authorization": "Bearer x", "x-evil": "1", "Host": "HOST"}},
    "extra_headers": {"extra_headers": {"Authorization": "Bearer x", "x-evil": "1"}},
    "default_headers": {"default_headers": {"x-evil": "1"}},
    "extra_body": {"extra_body": {"api_base": "URL", "base_url": "URL"}},
    "extra_query": {"extra_query": {"to": "URL"}},
    "fallbacks": {"fallbacks": [{"model": "openai/x", "api_base": "URL"}], "num_retries": 3},
    "model_list": {
        "model_list": [
            {"model_name": "x", "litellm_params": {"model": "openai/x", "api_base": "URL"}}
        ]
    },
    "context window": {"context_window_fallback_dict": {"openai/gpt-4.1-mini": "URL"}},
    "azure": {"deployment_id": "x", "api_version": "1", "azure_ad_token": "t", "api_base": "URL"},
    "bedrock": {
        "aws_bedrock_runtime_endpoint": "URL",
        "aws_sts_endpoint": "URL",
        "aws_access_key_id": "a",
        "aws_secret_access_key": "b",
    },
    "vertex": {"vertex_project": "p", "vertex_credentials": "URL", "vertex_location": "URL"},
    "sinks": {"langfuse_host": "URL", "langfuse_public_key": "p", "success_callback": ["langfuse"]},
    "proxy": {"proxy": "URL", "http_proxy": "URL", "ssl_verify": False, "use_litellm_proxy": True},
    "a client": {"client": "URL", "shared_session": "URL", "litellm_credential_name": "up"},
    "free of charge": {"mock_response": "free", "input_cost_per_token": 0, "mock_timeout": True},
    "own members": {"headgate": {"base_url": "URL", "inputs": {}}},
    "metadata": {"metadata": {"api_base": "URL", "headers": {"x-evil": "1"}}},
    "litellm's": {"litellm_params": {"api_base": "URL"}, "user_config": {"model_list": []}},
    "an mcp server": {
        "tools": [
            {"type": "mcp", "server_label": "x", "server_url": "URL"},
            {"type": "mcp", "server_label": "x", "server_url": "litellm_proxy/mcp/x"},
        ]
    },
    "a prompt elsewhere": {"prompt_id": "x", "prompt_variables": {}, "langsmith_base_url": "URL"},
}
PARTS: dict[str, dict[str, Any]] = {
    "an image": {"type": "image_url", "image_url": {"url": "URL/a.png"}},
    "an image by name": {"type": "image_url", "image_url": "URL/a.png"},
    "a file": {"type": "file", "file": {"file_id": "URL/a.pdf"}},
    "a file's data": {"type": "file", "file": {"filename": "a", "file_data": "URL/a.pdf"}},
    "a video": {"type": "video_url", "video_url": {"url": "URL/a.mp4"}},
    "audio": {"type": "input_audio", "input_audio": {"data": "URL/a.wav", "format": "wav"}},
}
HEADERS = {
    "api base": {"x-api-base": "URL", "x-litellm-api-base": "URL", "api-base": "URL"},
    "a key": {"x-headgate-target": "URL", "openai-organization": "x", "x-upstream-key": "k"},
    "targets": {"x-target-url": "URL", "x-original-url": "URL", "x-rewrite-url": "URL"},
    "authority": {"Host": "HOST"},
    "forwarded": {"X-Forwarded-Host": "HOST", "Forwarded": "host=HOST", "X-Forwarded-For": "::1"},
}
MODELS = (
    "URL",
    "openai/gpt-4.1-mini",
    "up/fake",
    "chat-up@URL",
    "openai/URL",
    "../chat-up",
    "//HOST",
)


@dataclass
class World:
    server: Server
    fake: Upstream
    trap: Trap

    def aimed(self, value: Any) -> Any:
        """The payload, with the trap's address where it says so."""
        text = json.dumps(value).replace("URL", self.trap.url)
        return json.loads(text.replace("HOST", f"127.0.0.1:{self.trap.port}"))

    def everywhere(
        self, members: dict[str, Any], headers: dict[str, str] | None = None
    ) -> Iterator[tuple[str, str, int, Any]]:
        """Send it in every dialect through every provider; nothing may have left its way."""
        for path, models, body in CALLS:
            for model in models:
                full = {"model": model, **body, **self.aimed(members)}
                sent = self.aimed(headers or {})
                yield path, model, *self.server.post(f"/v1/{path}", full, sent)
        self.kept_to_its_way()

    def kept_to_its_way(self) -> None:
        assert self.trap.caught == []
        for headers in self.fake.headers:
            assert headers["Authorization"] == "Bearer upstream-key"
            assert not {h.lower() for h in headers} & {"x-evil", "x-api-base", "x-upstream-key"}
            assert str(self.trap.port) not in headers["Host"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("egress")

    async def by_path(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        answers = {
            "embeddings": embeds(),
            "rerank": replies({"id": "r", "results": [{"index": 0, "relevance_score": 0.5}]}),
            "moderations": replies({"id": "m", "model": "m", "results": [{"flagged": False}]}),
        }
        return await answers.get(request.path.rpartition("/")[2], says("ok"))(request, body)

    with upstream(by_path) as fake, trap() as caught:
        config = write_config(folder, CONFIG.format(url=fake.url))
        with serving(config, env={"UP_KEY": "upstream-key"}) as server:
            yield World(server, fake, caught)


def test_the_calls_themselves_are_served(world: World) -> None:
    for path, model, status, body in world.everywhere({}):
        assert status == 200, (path, model, body)


@pytest.mark.parametrize("name", MEMBERS)
def test_no_member_of_a_body_moves_a_call(world: World, name: str) -> None:
    members = MEMBERS[name]
    for path, model, status, body in world.everywhere(members):
        assert status in (200, 400), (path, model, body)
        if "api_base" in members and model == "chat-sdk" and path == "chat/completions":
            assert (status, body["error"]["code"]) == (400, "unsupported_parameter")
            assert body["error"]["param"] in members


@pytest.mark.parametrize("name", PARTS)
def test_an_address_in_a_message_is_data(world: World, name: str) -> None:
    part = world.aimed(PARTS[name])
    world.fake.seen.clear()
    for model in ("chat-up", "chat-sdk"):
        content = [{"type": "text", "text": "What is it?"}, part]
        body = {"model": model, "messages": [{"role": "user", "content": content}]}
        status, answer = world.server.post("/v1/chat/completions", body)
        assert status in (200, 400), answer
    assert world.fake.seen[0]["messages"][0]["content"][1] == part, "not passed on as it was"
    source = {"type": "image", "source": {"type": "url", "url": world.trap.url + "/a.png"}}
    shown: dict[str, Any] = {"messages": [{"role": "user", "content": [source]}], "max_tokens": 9}
    for model in ("chat-up", "chat-sdk"):
        assert world.server.post("/v1/messages", {"model": model, **shown})[0] in (200, 400)
    world.kept_to_its_way()


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_of_a_request_moves_a_call(world: World, name: str) -> None:
    for path, model, status, body in world.everywhere({}, HEADERS[name]):
        assert status in (200, 401), (path, model, body)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_a_name_and_nothing_else(world: World, model: str) -> None:
    for path, _, body in CALLS:
        status, answer = world.server.post(f"/v1/{path}", {"model": world.aimed(model), **body})
        assert status == 404, (path, answer)
    world.kept_to_its_way()


def test_a_redirect_of_an_upstream_is_not_followed(world: World) -> None:
    async def redirects(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": world.trap.url})

    kept = list(world.fake.answers)
    world.fake.answers[:] = [redirects]
    try:
        status, body = world.server.chat("plain", "hi")
    finally:
        world.fake.answers[:] = kept
    assert (status, body["error"]["upstream_status"]) == (502, 307)
    world.kept_to_its_way()


@pytest.mark.parametrize(
    "model",
    ["gemini/gemini-2.0-flash", "bedrock/anthropic.claude-3-haiku-20240307-v1:0"],
)
def test_the_sdk_fetches_nothing_even_where_its_own_check_would_let_it(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These models take images as data alone, so the SDK would fetch them for the caller."""

    async def ask(caught: Trap) -> None:
        provider = Litellm(
            api_key="k",
            api_base="http://127.0.0.1:1",
            arguments={"aws_access_key_id": "a", "aws_secret_access_key": "b"}
            | {"aws_region_name": "eu-west-1"},
        )
        sdk = await provider._loaded()
        monkeypatch.setattr(sdk, "user_url_allowed_hosts", [f"127.0.0.1:{caught.port}"])
        image = {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{caught.port}/a.png"}}
        body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, image]}]}
        with pytest.raises(UpstreamUntranslated, match="fetches nothing") as refused:
            await provider.chat(ModelRequest(body, stream=False), model)
        assert (refused.value.http_status, refused.value.param) == (400, "messages")
        await sdk.close_litellm_async_clients()

    with trap() as caught:
        asyncio.run(ask(caught))
        assert caught.caught == []


def test_the_list_of_reachable_hosts_is_complete(tmp_path: Path) -> None:
    more = 'telemetry: {otlp: [{endpoint: "http://traces.example.com:4318"}]}\n'
    text = CONFIG.format(url="http://models.example.com:9000/v1") + more
    listed = headgate(
        "check", "--config", str(write_config(tmp_path, text)), "--egress", env={"UP_KEY": "k"}
    )
    assert listed.returncode == 0, listed.stderr
    hosts = {line.split()[1] for line in listed.stdout.splitlines()}
    assert hosts == {"models.example.com:9000", "traces.example.com:4318"}
    for allowed in (hosts, *({host} for host in hosts)):
        more_still = f"egress: {{allow: {json.dumps(sorted(allowed))}}}\n"
        config = write_config(tmp_path, text + more_still)
        done = headgate("check", "--config", str(config), env={"UP_KEY": "k"} | NO_PROXIES)
        assert done.returncode == (0 if allowed == hosts else 2), done.stderr
        assert all(host in done.stderr for host in hosts - allowed)
