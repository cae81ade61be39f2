"""What litellm's SDK cannot put into a provider's form is the caller's to mend, nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from hosted_checks import SDK_WARNINGS
from in_process import Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream

Json = dict[str, Any]

pytestmark = SDK_WARNINGS

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: google, use: litellm, options: {{api_key: "env:TEST_KEY", api_base: "{base}/gem"}}}}
  - {{name: claude, use: litellm, options: {{api_key: "env:TEST_KEY", api_base: "{base}"}}}}
  - {{name: keyless, use: litellm, options: {{arguments: {{extra_headers: 7}}}}}}
  - {{name: echo, use: echo}}
pools:
  - {{name: gemini, targets: [{{provider: google, model: gemini/gemini-2.5-flash}}]}}
  - {{name: claude, targets: [{{provider: claude, model: anthropic/claude-haiku-4-5}}]}}
  - name: gemini-safe
    targets: [{{provider: google, model: gemini/gemini-2.5-flash}}]
    fallbacks: [spare]
  - {{name: misset, targets: [{{provider: keyless, model: anthropic/claude-haiku-4-5}}]}}
  - {{name: spare, targets: [{{provider: echo, model: echo}}]}}
"""
ASKED: list[Json] = [{"role": "user", "content": "hi"}]


def called(arguments: str) -> list[Json]:
    """A conversation with a call of a tool, and its result."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    told = {"role": "tool", "tool_call_id": "c1", "content": "r"}
    return [*ASKED, {"role": "assistant", "content": None, "tool_calls": [call]}, told]


def shown(part: Json) -> list[Json]:
    """A message of one part."""
    return [{"role": "user", "content": [part]}]


LOST = {"messages": [*ASKED, {"role": "tool", "tool_call_id": "gone", "content": "r"}]}
BAD: dict[str, tuple[str, Json, str]] = {
    "a result whose call was trimmed away": ("gemini", LOST, "messages"),
    "arguments that were cut off": ("gemini", {"messages": called('{"place": "Os')}, "messages"),
    "an image by no address": (
        "gemini",
        {"messages": shown({"type": "image_url", "image_url": {"url": "photo.png"}})},
        "messages",
    ),
    "a part of an unknown kind": ("claude", {"messages": shown({"type": "hologram"})}, "messages"),
    "a tool that is no function, among others": (
        "claude",
        {
            "temperature": 0.5,
            "tools": [{"type": "custom", "custom": {"name": "x"}}],
            "tool_choice": "auto",
        },
        "tools",
    ),
}
"""What is wrong, to the pool, the members of the request, and which one is to be named."""


def with_place(
    folder: Path, work: Callable[[Place, RawUpstream, list[Any]], Awaitable[None]]
) -> None:
    """Do the work in a gateway whose upstream refuses what reaches it; it is told what did."""

    async def run() -> None:
        seen: list[Any] = []

        async def refuses(exchange: Exchange) -> None:
            seen.append(exchange.body)
            await exchange.json(400, b'{"error": {"message": "seen", "type": "x"}}')

        async with raw_upstream(refuses) as fake:
            text = CONFIG.format(base=fake.url.removesuffix("/v1"))
            async with opened(write_config(folder, text)) as place:
                await work(place, fake, seen)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hosted providers have a key, and none is found elsewhere."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)


@pytest.mark.parametrize("wrong", BAD)
def test_a_request_that_the_sdk_cannot_translate_is_refused_and_takes_no_target_away(
    tmp_path: Path, wrong: str
) -> None:
    pool, members, param = BAD[wrong]

    async def work(place: Place, fake: RawUpstream, seen: list[Any]) -> None:
        for _ in range(12):
            answer = await place.ask({"model": pool, "messages": ASKED, **members})
            error = answer.json["error"]
            assert (answer.status, error["code"]) == (400, "unsupported_parameter"), error
            assert error["param"] == param, error
            assert "Nothing was sent" in error["message"]
        assert seen == []
        for record in place.records:
            assert (record["attempts"], record["cost_pico"]) == ([], 0)
            assert "Nothing was sent" in record["error_message"]
            assert record["degraded"][0].startswith("route: did without ")
        others = await place.ask({"model": pool, "messages": ASKED})
        assert others.json["error"]["message"] == "seen"

    with_place(tmp_path, work)


def test_a_stream_is_refused_like_a_whole_answer(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream, seen: list[Any]) -> None:
        answer = await place.ask({"model": "gemini", "stream": True, **LOST})
        assert (answer.status, answer.json["error"]["param"]) == (400, "messages")
        assert seen == []

    with_place(tmp_path, work)


def test_another_provider_may_do_with_what_one_cannot_translate(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream, seen: list[Any]) -> None:
        answer = await place.ask({"model": "gemini-safe", **LOST})
        assert (answer.status, answer.headers["x-headgate-target"]) == (200, "echo/echo")
        [record] = place.records
        assert [(a["why"], a["outcome"]) for a in record["attempts"]] == [("fallback", "ok")]

    with_place(tmp_path, work)


def test_what_the_provider_sees_and_refuses_itself_goes_to_no_fallback(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream, seen: list[Any]) -> None:
        answer = await place.ask({"model": "gemini-safe", "messages": ASKED})
        assert (answer.status, len(seen)) == (400, 1)

    with_place(tmp_path, work)


@pytest.mark.parametrize("members", [{}, LOST], ids=["plain", "bad too"])
def test_a_provider_that_is_set_up_wrongly_is_no_callers_fault(
    tmp_path: Path, members: Json
) -> None:
    async def work(place: Place, fake: RawUpstream, seen: list[Any]) -> None:
        answer = await place.ask({"model": "misset", "messages": ASKED, **members})
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_error")
        assert answer.json["error"].get("param") is None

    with_place(tmp_path, work)


def test_a_null_member_asks_for_nothing(tmp_path: Path) -> None:
    async def work(place: Place, fake: RawUpstream, seen: list[Any]) -> None:
        body = {"model": "claude", "messages": ASKED, "web_search_options": None}
        assert (await place.ask(body)).json["error"]["message"] == "seen"
        [sent] = seen
        assert "web_search_options" not in sent

    with_place(tmp_path, work)
