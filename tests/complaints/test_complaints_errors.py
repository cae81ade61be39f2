"""A provider's refusal keeps its status, words and request id, through SDKs and in all dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from configs import write_config
from running import Server, serving
from upstream import Answer, Upstream, upstream

from headgate_gateway.sdk.errors import plain

Json = dict[str, Any]

KEPT = {400, 404, 408, 413, 422, 429}
HEADERS = {"x-request-id": "req_1", "retry-after": "7"}
CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: direct, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: sdk, use: litellm, options: {{api_base: "{url}", api_key: "env:TEST_KEY"}}}}
pools:
  - {{name: plain, targets: [{{provider: direct, model: m}}], retries: {{attempts: 1}}}}
  - {{name: hosted, targets: [{{provider: sdk, model: openai/m}}], retries: {{attempts: 1}}}}
  - {{name: mistral, targets: [{{provider: sdk, model: mistral/m}}], retries: {{attempts: 1}}}}
"""


@dataclass(frozen=True)
class Case:
    """What the provider answers, and the code that the caller gets with it."""

    status: int
    error: Json
    code: str

    @property
    def seen(self) -> int:
        return self.status if self.status in KEPT else 502

    @property
    def message(self) -> str:
        if self.status in (401, 402, 403):
            return f"The upstream refused the gateway's credentials ({self.status})."
        return str(self.error["message"])


def case(status: int, message: str, type_: str, code: str | None, seen: str) -> Case:
    return Case(status, {"message": message, "type": type_, "param": None, "code": code}, seen)


CASES = [
    case(400, "too long: maximum context length", "invalid_request_error",
         "context_length_exceeded", "context_length_exceeded"),
    case(400, "temperature must be below 2", "invalid_request_error", None,
         "invalid_request_error"),
    case(400, "refused by our policy", "invalid_request_error", "content_policy_violation",
         "content_policy_violation"),
    case(401, "Incorrect API key: sk-abcdef", "x", "invalid_api_key", "upstream_error"),
    case(403, "Your organization org-77 may not", "x", None, "upstream_error"),
    case(404, "no such model", "invalid_request_error", "model_not_found", "model_not_found"),
    case(408, "too slow", "timeout", None, "timeout"),
    case(409, "conflict", "conflict", None, "upstream_error"),
    case(422, "cannot be processed", "unprocessable", None, "unprocessable"),
    case(429, "slow down", "requests", "rate_limit_exceeded", "rate_limit_exceeded"),
    case(429, "no money left", "insufficient_quota", "insufficient_quota", "insufficient_quota"),
    case(500, "an error on our side", "server_error", None, "upstream_error"),
    case(502, "bad gateway", "server_error", None, "upstream_error"),
    case(503, "overloaded", "server_error", None, "upstream_error"),
    case(529, "overloaded", "overloaded_error", None, "upstream_error"),
]  # fmt: skip


@dataclass
class Place:
    server: Server
    fake: Upstream

    def refused(self, path: str, model: str, one: Case, *, stream: bool) -> tuple[int, Json]:
        self.fake.answers[:] = [refuses(one)]
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": model, "messages": messages, "max_tokens": 9, "stream": stream}
        status, answer = self.server.post(path, body)
        return status, dict(answer)


def refuses(one: Case) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        return web.json_response({"error": one.error}, status=one.status, headers=HEADERS)

    return answer


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with upstream() as fake:
        config = write_config(tmp_path_factory.mktemp("errors"), CONFIG.format(url=fake.url))
        with serving(config, env={"TEST_KEY": "k"}) as server:
            yield Place(server, fake)


@pytest.mark.parametrize("one", CASES, ids=lambda c: f"{c.status} {c.code}")
@pytest.mark.parametrize("model", ["plain", "hosted", "mistral"])
def test_a_refusal_means_the_same_through_every_provider(
    place: Place, model: str, one: Case
) -> None:
    for stream in (False, True):
        status, answer = place.refused("/v1/chat/completions", model, one, stream=stream)
        error = answer["error"]
        assert status == one.seen
        assert (error["message"], error["code"]) == (one.message, one.code)
        assert error["upstream_status"] == one.status
        assert error["upstream_request_id"] == "req_1"
        assert error["target"].endswith("/m")
        assert {"type", "param", "call_id"} <= set(error)
        told = json.dumps(answer)
        assert told.count('"error"') == 1  # one envelope
        assert "litellm" not in told and "Exception" not in told


@pytest.mark.parametrize("one", CASES, ids=lambda c: f"{c.status} {c.code}")
def test_a_refusal_keeps_what_is_known_of_it_in_anthropics_envelope(
    place: Place, one: Case
) -> None:
    for stream in (False, True):
        status, answer = place.refused("/v1/messages", "plain", one, stream=stream)
        assert status >= 400 and answer["type"] == "error"
        error = answer["error"]
        assert error["message"] == one.message
        assert error["upstream_status"] == one.status
        assert error["upstream_request_id"] == "req_1"
        assert error["target"] == "direct/m"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("litellm.BadRequestError: OpenAIException - too long", "too long"),
        ("litellm.BadRequestError: litellm.ContentPolicyViolationError: X", "X"),
        ("litellm.Timeout: Timeout Error: OpenAIException - late", "late"),
        ("litellm.APIError: APIError: MistralException - {}", "{}"),
        ("An error: of the model - its own words", "An error: of the model - its own words"),
        ("ValueError", "ValueError"),
    ],
)
def test_the_sdks_own_names_go_and_the_providers_words_stay(message: str, words: str) -> None:
    assert plain(message) == words
