"""What providers say when they refuse, and what the caller is told: one table for all dialects.

The rule: a status that the caller can mend is kept, with the provider's own message and code;
credentials are the operator's business; everything else is 502 and names the upstream's status.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from configs import proxy_config
from in_process import Answer, opened
from raw_upstream import Exchange, raw_upstream
from replay import Body, recorded

KEPT = {400, 404, 408, 413, 422, 429}


@dataclass(frozen=True)
class Case:
    """An upstream's reply and what the caller must get; an empty message: ours, with the status."""

    status: int
    body: str
    message: str = ""
    code: str = "upstream_error"
    headers: str = ""
    param: str | None = None
    retry_after: str | None = None
    should_retry: str | None = None

    @property
    def type(self) -> str:
        special = {408: "timeout", 429: "rate_limit_exceeded"}
        kept = special.get(self.status, "invalid_request_error")
        return kept if self.status in KEPT else "upstream_error"


def openai(message: str, code: str | None, type_: str = "invalid_request_error") -> str:
    return json.dumps({"error": {"message": message, "type": type_, "param": None, "code": code}})


OWN = {
    "openai context": Case(
        400, openai("too long", "context_length_exceeded"), "too long", "context_length_exceeded"
    ),
    "openai param": Case(
        400,
        '{"error": {"message": "bad", "type": "wrong", "param": "top_p", "code": null}}',
        "bad",
        "wrong",
        param="top_p",
    ),
    "openai 401": Case(401, openai("Incorrect API key provided: sk-abc", "invalid_api_key")),
    "openai 403": Case(403, openai("Your project org-1 may not", "unsupported_country")),
    "openai 429": Case(
        429,
        openai("slow down", "rate_limit_exceeded", "requests"),
        "slow down",
        "rate_limit_exceeded",
        "Retry-After: 7\r\n",
        retry_after="7",
    ),
    "openai 429 in ms": Case(
        429, openai("slow", None, ""), "slow", "rate_limit_exceeded",
        "Retry-After-Ms: 1500\r\nRetry-After: 9\r\n", retry_after="2",
    ),
    "openai quota": Case(
        429, openai("no money", "insufficient_quota"), "no money", "insufficient_quota",
        should_retry="false",
    ),
    "openai 500": Case(500, openai("an error", None, "server_error"), "an error"),
    "openai 503": Case(503, openai("overloaded", None), "overloaded"),
    "anthropic 529": Case(
        529,
        '{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}',
        "Overloaded",
    ),
    "anthropic 413": Case(
        413,
        '{"type": "error", "error": {"type": "request_too_large", "message": "32 MB"}}',
        "32 MB",
        "request_too_large",
    ),
    "nginx 502": Case(502, "<html><h1>502 Bad Gateway</h1></html>"),
    "cloudflare 524": Case(524, "error code: 524"),
    "nothing 500": Case(500, ""),
    "vllm 400": Case(
        400,
        '{"object": "error", "message": "maximum context", "type": "BadRequestError", "code": 400}',
        "maximum context",
        "BadRequestError",
    ),
    "azure filter": Case(
        400,
        '{"error": {"message": "filtered", "type": null, "param": "prompt", "code":'
        ' "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}}',
        "filtered",
        "content_filter",
        param="prompt",
    ),
    "gemini list": Case(
        429,
        '[{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}]',
        "quota",
        "RESOURCE_EXHAUSTED",
    ),
    "bedrock 403": Case(403, '{"message": "You do not have access to account 1234"}'),
    "fastapi 404": Case(404, '{"detail": "Not Found"}', "Not Found", "not_found"),
    "fastapi 422": Case(422, '{"detail": [{"loc": ["body"]}]}', "", "invalid_request"),
    "ollama 404": Case(404, '{"error": "model not found"}', "model not found", "not_found"),
    "openrouter 402": Case(402, '{"error": {"message": "Insufficient credits", "code": 402}}'),
    "timeout 408": Case(408, "{}", "", "upstream_timeout"),
    "conflict 409": Case(409, openai("conflict", None), "conflict"),
    "redirect 307": Case(307, "", headers="Location: http://169.254.169.254/\r\n"),
    "no content 204": Case(204, ""),
    "null": Case(500, "null"),
    "error of a strange type": Case(500, '{"error": [1, 2]}'),
}  # fmt: skip


def derived(body: Body) -> Case:
    """The case of a recorded reply, by the rule alone."""
    status = body.meta["status"]
    said = json.loads(body.data)
    error = said.get("error", said)
    if status in (401, 402, 403):
        return Case(status, body.data.decode())
    code = error.get("code")
    if not isinstance(code, str):
        code = error.get("type") or error.get("status") or "invalid_request"
    return Case(status, body.data.decode(), error["message"], code, param=error.get("param"))


RECORDED = recorded("errors")
CASES = {**OWN, **{f"recorded {body}": derived(body) for body in RECORDED}}


async def asked(folder: Path, case: Case, *, stream: bool) -> Answer:
    async def script(exchange: Exchange) -> None:
        if case.status == 204:
            await exchange.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            headers = f"X-Request-Id: req_1\r\n{case.headers}"
            await exchange.json(case.status, case.body.encode(), headers)

    async with raw_upstream(script) as fake, opened(proxy_config(folder, fake.url)) as place:
        return await place.chat("plain", stream=stream)


@pytest.mark.parametrize("name", CASES)
def test_the_caller_learns_what_it_can_act_on(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    answer = asyncio.run(asked(tmp_path, case, stream=len(name) % 2 == 0))
    error = answer.json["error"]
    assert answer.status == (case.status if case.status in KEPT else 502)
    assert (error["type"], error["code"], error["param"]) == (case.type, case.code, case.param)
    assert error["upstream_status"] == case.status
    assert error["target"] == "up/fake"
    if case.status != 204:
        assert error["upstream_request_id"] == "req_1"
    assert (
        error["message"] == case.message if case.message else str(case.status) in error["message"]
    )
    assert answer.headers.get("retry-after") == case.retry_after
    assert answer.headers.get("x-should-retry") == case.should_retry
    assert answer.headers["content-type"] == "application/json"


def test_there_are_enough_cases() -> None:
    assert len(OWN) >= 25
    assert not RECORDED or len(CASES) >= 40


def test_nothing_of_a_credential_failure_is_passed_on() -> None:
    refused = [c for c in CASES.values() if c.status in (401, 402, 403)]
    assert len(refused) >= 4 and all(not c.message for c in refused)
