"""Only what a hit can say again is kept in a cache: text, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import PRICED, write_config
from in_process import opened
from raw_upstream import Exchange, raw_upstream
from upstream import chunk, completion, sse

ROUTE = "routes:\n  - {name: c, pool: main, cache: exact}\n"
ELSEWHERE = {"type": "url_citation", "url_citation": {"url": "http://a", "title": "t"}}
LOGPROBS = {"content": [{"token": "x", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("message", "choice", "kept"),
    [
        ({}, {}, True),
        ({"tool_calls": [], "refusal": None, "audio": None, "annotations": []}, {}, True),
        ({}, {"logprobs": None, "stop_reason": 2}, True),
        ({}, {"logprobs": LOGPROBS}, False),
        ({"audio": {"id": "a", "data": "UklG", "transcript": "hi"}}, {}, False),
        ({"reasoning_content": "hm"}, {}, False),
        ({"annotations": [ELSEWHERE]}, {}, False),
        ({"images": [{"type": "image_url", "image_url": {"url": "http://a/b.png"}}]}, {}, False),
        ({"content": [{"type": "text", "text": "See "}]}, {}, False),
    ],
)
def test_an_answer_with_more_than_text_is_made_anew(
    tmp_path: Path, message: dict[str, Any], choice: dict[str, Any], kept: bool, stream: bool
) -> None:
    async def says(exchange: Exchange) -> None:
        if stream:
            first = chunk({"role": "assistant", "content": "four", **message})
            first["choices"][0].update(choice)
            last = chunk({}, "stop")
            await exchange.stream([sse(first), sse(last), b"data: [DONE]\n\n"])
            return
        body = completion("four")
        body["choices"][0]["message"].update(message)
        body["choices"][0].update(choice)
        await exchange.json(200, orjson.dumps(body))

    async def ask() -> None:
        async with raw_upstream(says) as fake:
            text = PRICED.format(url=fake.url) + ROUTE
            async with opened(write_config(tmp_path, text)) as place:
                caches = [
                    (await place.chat("c", stream=stream)).headers["x-headgate-cache"]
                    for _ in range(2)
                ]
        assert caches == ["miss", "hit" if kept else "miss"]

    asyncio.run(ask())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("reason", "kept"), [(None, False), ("length", False), ("stop", True)])
def test_only_an_answer_that_says_that_it_is_complete_is_given_again(
    tmp_path: Path, reason: str | None, kept: bool, stream: bool
) -> None:
    async def says(exchange: Exchange) -> None:
        if stream:
            events = [sse(chunk({"role": "assistant", "content": "Half an ans"}))]
            events += [sse(chunk({}, reason))] if reason else []
            await exchange.stream([*events, b"data: [DONE]\n\n"])
            return
        body = completion("Half an ans")
        body["choices"][0]["finish_reason"] = reason
        await exchange.json(200, orjson.dumps(body))

    async def ask() -> None:
        async with raw_upstream(says) as fake:
            text = PRICED.format(url=fake.url) + ROUTE
            async with opened(write_config(tmp_path, text)) as place:
                caches = [
                    (await place.chat("c", stream=stream)).headers["x-headgate-cache"]
                    for _ in range(2)
                ]
        assert caches == ["miss", "hit" if kept else "miss"]

    asyncio.run(ask())
