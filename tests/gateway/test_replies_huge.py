"""Replies of a megabyte that mean harm: each costs time in proportion to its length, at most."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from dialect_world import dialect_world
from passes_world import Json, delivered
from upstream import Answer, chunk

from headgate_core.errors import UpstreamMalformed
from headgate_core.reply import Facts
from headgate_gateway.replies.chunks import observe
from headgate_gateway.replies.completion_shape import MOST_LISTED
from headgate_gateway.replies.salvage import salvage
from headgate_gateway.replies.tool_numbers import ToolNumbers


def call(number: int, **own: Any) -> Json:
    return {"id": f"c{number}", "function": {"name": f"f{number}", "arguments": "{}"}, **own}


def last(calls: list[Json]) -> Json:
    message = {"role": "assistant", "tool_calls": calls}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}


def observed(*bodies: Json) -> None:
    facts = Facts()
    for body in bodies:
        observe(facts, body)


def many(count: int, **own: Any) -> Json:
    return chunk({"tool_calls": [call(n, **own) for n in range(count)]})


def numbered(count: int) -> None:
    ToolNumbers().assign(many(count, index=0))


WAYS: dict[str, Callable[[int], None]] = {
    "calls": lambda n: observed(chunk({"tool_calls": [call(i, index=i) for i in range(n)]})),
    "calls of one index": lambda n: observed(many(n, index=0)),
    "calls without one": lambda n: observed(many(n)),
    "bare pieces": lambda n: observed(chunk({"tool_calls": [{"index": i} for i in range(n)]})),
    "a message with calls": lambda n: observed(last([call(i) for i in range(n)])),
    "a message that repeats them": lambda n: observed(many(n), last([call(i) for i in range(n)])),
    "a message with others": lambda n: observed(
        many(n), last([call(i + n, index=0) for i in range(n)])
    ),
    "calls that get numbers": numbered,
    "a guarded reply": lambda n: check(many(n)),
}


def check(body: Json) -> None:
    delivered([body], stream=True)


def steps(run: Callable[[], object]) -> int:
    """Lines that are run, the passes of loops among them."""
    count = 0

    def line(_frame: Any, _event: str, _argument: Any) -> Any:
        nonlocal count
        count += 1
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("way", WAYS)
def test_twice_as_many_calls_cost_twice_as_much(way: str) -> None:
    WAYS[way](4)
    once, twice = (steps(partial(WAYS[way], count)) for count in (60, 120))
    assert twice < 2.3 * once


@pytest.mark.parametrize("name", ["choices", "tool_calls"])
def test_an_answer_has_no_more_entries_than_a_reader_takes(name: str) -> None:
    def body(count: int) -> Json:
        calls = [{"index": n} for n in range(count)]
        return {"choices": calls} if name == "choices" else chunk({"tool_calls": calls})

    observe(Facts(), body(MOST_LISTED))
    with pytest.raises(UpstreamMalformed, match=f"`{name}` has more than 4096 entries"):
        observe(Facts(), body(MOST_LISTED + 1))


USED = b'"usage": {"prompt_tokens": 7, "completion_tokens": 2}'


def test_of_a_reply_thrown_away_the_last_usages_alone_are_read() -> None:
    def of(raw: bytes) -> Facts:
        salvage(found := Facts(), raw)
        return found

    nested = [b'{"usage":' * count for count in (200, 2000)]
    once, more = (steps(partial(of, raw)) for raw in nested)
    assert once == more
    facts = of(b"{" + b'"usage":{' * 500 + USED)
    assert facts.usage is not None and facts.usage.input_tokens == 7


def answers(raw: bytes) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        return web.Response(body=raw, content_type="application/json")

    return answer


def test_a_usage_that_nests_without_end_is_the_upstreams_fault(tmp_path: Path) -> None:
    deep = b'{"error":"x","usage":{"a":' + b"[" * 3900
    facts = Facts()
    salvage(facts, b"{" + USED + b"," + deep)
    assert facts.usage is not None and facts.usage.output_tokens == 2
    with dialect_world(tmp_path) as world:
        for raw in (deep, b'{"usage":' * 100_000):
            world.fake.answers[:] = [answers(raw)] * 3
            status, body = world.server.chat("plain", "Hi")
            assert (status, body["error"]["code"]) == (502, "upstream_malformed")
        assert "Traceback" not in world.server.log.read_text()
