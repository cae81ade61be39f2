"""A kept answer is given again only where today's guards would have let it out, and whole."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from configs import PRICED, write_config
from in_process import opened
from raw_upstream import Exchange, raw_upstream
from upstream import completion, stream_of

from headgate_gateway.idempotency import answers

SECRET = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
POLICY = """\
name: house
checks:
  - {name: keys, use: secrets, at: [output], action: mask}
"""
BARE = "{name: plain, pool: main}"
GUARDED = "{name: plain, pool: main, guards: [house]}"
CAPTURED = "{name: plain, pool: main, capture: full}"
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("chat/completions", {}),
    ("chat/completions", {"stream": True}),
    ("messages", {"max_tokens": 9}),
    ("responses", {"stream": True}),
]


async def tells(exchange: Exchange) -> None:
    if exchange.body.get("stream"):
        await exchange.stream(stream_of(["key ", SECRET, " end"]))
    else:
        await exchange.json(200, orjson.dumps(completion(f"key {SECRET} end")))


def configured(folder: Path, url: str, route: str) -> Path:
    (folder / "guardrails").mkdir(exist_ok=True)
    (folder / "guardrails" / "house.yaml").write_text(POLICY)
    return write_config(folder, PRICED.format(url=url) + f"routes:\n  - {route}\n")


@pytest.mark.parametrize(
    ("first", "second"), [(BARE, GUARDED), (CAPTURED, GUARDED), (BARE, CAPTURED), (GUARDED, BARE)]
)
def test_an_answer_made_under_other_guards_is_made_anew(
    tmp_path: Path, first: str, second: str
) -> None:
    async def calls(route: str, url: str) -> list[tuple[bytes, bool]]:
        async with opened(configured(tmp_path, url, route)) as place:
            found = []
            for n, (path, more) in enumerate(CALLS):
                asked = "input" if path == "responses" else "messages"
                text: Any = "hi" if path == "responses" else [{"role": "user", "content": "hi"}]
                answer = await place.ask(
                    {"model": "plain", asked: text, **more},
                    path=f"/v1/{path}",
                    headers={"idempotency-key": f"k{n}"},
                )
                assert answer.status == 200, answer.body
                found.append((answer.body, "idempotency-replayed" in answer.headers))
            return found

    async def change() -> None:
        async with raw_upstream(tells) as fake:
            await calls(first, fake.url)
            for body, replayed in await calls(second, fake.url):
                assert not replayed
                assert b"end" in body
                assert (SECRET.encode() in body) == (second != GUARDED)
            assert len(fake.requests) == 2 * len(CALLS)
            for body, replayed in await calls(second, fake.url):
                assert replayed
                assert b"end" in body
            assert len(fake.requests) == 2 * len(CALLS)

    asyncio.run(change())


def test_of_an_answer_that_is_too_large_to_be_kept_nothing_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_COLLECTED", 100_000)
    held: list[int] = []

    class Watched(answers.Collected):
        def add(self, event: Any) -> None:
            super().add(event)
            held.append(sum(len(data) for one in self.events for data in one.values()))

    monkeypatch.setattr("headgate_gateway.stages.join.Collected", Watched)

    async def long(exchange: Exchange) -> None:
        await exchange.stream(stream_of(["many words " * 100] * 400))

    async def ask() -> None:
        async with (
            raw_upstream(long) as fake,
            opened(configured(tmp_path, fake.url, BARE)) as place,
        ):
            for _ in range(2):
                answer = await place.ask(
                    {
                        "model": "plain",
                        "messages": [{"role": "user", "content": "hi"}],
                        "stream": True,
                    },
                    headers={"idempotency-key": "long"},
                )
                assert len(answer.text) == 440_000
            assert len(fake.requests) == 2
            assert "too large to be kept" in place.records[-1]["degraded"][0]
        assert max(held) <= 100_000
        assert held[-1] == 0

    asyncio.run(ask())
