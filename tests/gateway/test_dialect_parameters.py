"""At every endpoint: what a target cannot honour is refused by name, or left out and named."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from in_process import Answer, Place, opened
from picky import Picky

Json = dict[str, Any]

CONFIG = """\
auth: {keys: open}
providers: [{name: picky, use: "picky:Picky"}]
pools:
"""
KINDS = ("chat", "embeddings", "rerank", "moderation")
USER: Json = {"messages": [{"role": "user", "content": "hi"}]}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
ASKED: dict[str, Json] = {
    "chat/completions": USER,
    "completions": {"prompt": "hi"},
    "responses": {"input": "hi"},
    "messages": {**USER, "max_tokens": 9},
    "embeddings": {"input": "hi"},
    "rerank": {"query": "q", "documents": ["d"]},
    "moderations": {"input": "hi"},
}
FORM = {"type": "json_schema", "name": "x", "schema": {}}
OBFUSCATED = {"include_obfuscation": True}
CASES: list[tuple[str, Json, str]] = [
    ("chat/completions", {"n": 2}, "n"),
    ("chat/completions", {"made_up": 1}, "made_up"),
    ("completions", {"stop": ["x"]}, "stop"),
    ("completions", {"suffix": "x"}, "suffix"),
    ("completions", {"echo": True}, "echo"),
    ("completions", {"best_of": 3}, "best_of"),
    ("completions", {"logprobs": 2}, "logprobs"),
    ("responses", {"top_p": 0.5}, "top_p"),
    ("responses", {"reasoning": {"effort": "low"}}, "reasoning.effort"),
    ("responses", {"text": {"format": FORM}}, "text.format"),
    ("responses", {"max_tool_calls": 3}, "max_tool_calls"),
    ("responses", {"truncation": "auto"}, "truncation"),
    ("responses", {"store": True}, "store"),
    ("messages", {"stop_sequences": ["x"]}, "stop_sequences"),
    ("messages", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    ("messages", {"metadata": {"user_id": "u"}}, "metadata.user_id"),
    ("messages", {"tools": [TOOL]}, "tools"),
    ("messages", {"container": "c"}, "container"),
    ("messages", {"top_k": 5}, "top_k"),
    ("messages", {"output_config": {"effort": "max"}}, "output_config.effort"),
    ("messages", {"thinking": {"type": "between_tools"}}, "thinking.type"),
    ("messages", {"metadata": {"team": "x"}}, "metadata.team"),
    ("responses", {"reasoning": {"mode": "x"}}, "reasoning.mode"),
    ("responses", {"text": {"other": 1}}, "text.other"),
    ("responses", {"text": {"format": {"type": "grammar"}}}, "text.format.type"),
    ("responses", {"stream_options": OBFUSCATED}, "stream_options.include_obfuscation"),
    ("embeddings", {"dimensions": 8}, "dimensions"),
    ("embeddings", {"encoding_format": "base64"}, "encoding_format"),
    ("rerank", {"top_n": 1}, "top_n"),
    ("moderations", {"made_up": 1}, "made_up"),
]


def config(folder: Path) -> Path:
    """For each kind a pool that refuses, ``KIND``, and one that leaves out, ``KIND-loose``."""
    target = "targets: [{{provider: picky, model: m}}]"
    pool = f"  - {{{{name: {{0}}{{1}}, serves: {{0}}, drop_unsupported: {{2}}, {target}}}}}\n"
    pools = [
        pool.format(kind, *more) for kind in KINDS for more in (("", "false"), ("-loose", "true"))
    ]
    return write_config(folder, CONFIG + "".join(pools))


def ask(folder: Path, endpoint: str, body: Json, *, loose: bool) -> tuple[Answer, Any]:
    """The answer and the call's record."""
    kind = {"moderations": "moderation"}.get(endpoint, endpoint)
    model = (kind if kind in KINDS else "chat") + ("-loose" if loose else "")

    async def inside() -> tuple[Answer, Any]:
        async with opened(config(folder)) as place:
            answer = await called(place, endpoint, {"model": model, **ASKED[endpoint], **body})
            return answer, place.records[-1] if place.records else None

    return asyncio.run(inside())


async def called(place: Place, endpoint: str, body: Json) -> Answer:
    return await place.ask(body, path=f"/v1/{endpoint}")


@pytest.mark.parametrize(("endpoint", "body", "name"), CASES)
def test_it_is_refused_by_the_name_that_the_caller_used(
    tmp_path: Path, endpoint: str, body: Json, name: str
) -> None:
    Picky.seen.clear()
    answer, _ = ask(tmp_path, endpoint, body, loose=False)
    error = answer.json["error"]
    assert (answer.status, error["param"]) == (400, name)
    assert error["code"] == "unsupported_parameter"
    assert not Picky.seen


@pytest.mark.parametrize(("endpoint", "body", "name"), CASES)
def test_it_is_left_out_and_named_where_the_pool_says_so(
    tmp_path: Path, endpoint: str, body: Json, name: str
) -> None:
    Picky.seen.clear()
    answer, record = ask(tmp_path, endpoint, body, loose=True)
    assert answer.status == 200, answer.body
    assert answer.headers["x-headgate-dropped"] == name
    assert record["dropped"] == [name] and record["degraded"]
    [sent] = Picky.seen
    assert not {*body}.intersection(sent)


STREAMED = [c for c in CASES if c[0] in ("completions", "responses", "messages")]


@pytest.mark.parametrize(("endpoint", "body", "name"), STREAMED)
def test_a_stream_names_it_too(tmp_path: Path, endpoint: str, body: Json, name: str) -> None:
    answer, _ = ask(tmp_path, endpoint, {**body, "stream": True}, loose=True)
    assert (answer.status, answer.headers["x-headgate-dropped"]) == (200, name)


QUESTIONS: list[tuple[str, Json, str]] = [
    ("responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
    ("responses", {"conversation": "conv_1"}, "conversation"),
    ("responses", {"background": True}, "background"),
    ("responses", {"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
    ("responses", {"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ("completions", {"prompt": ["a", "b"]}, "prompt"),
    ("completions", {"prompt": [1, 2]}, "prompt"),
    ("messages", {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
]


@pytest.mark.parametrize(("endpoint", "body", "name"), QUESTIONS)
def test_what_is_part_of_the_question_is_never_left_out(
    tmp_path: Path, endpoint: str, body: Json, name: str
) -> None:
    answer, _ = ask(tmp_path, endpoint, body, loose=True)
    assert (answer.status, answer.json["error"]["param"]) == (400, name)


def test_what_cannot_do_without_a_member_is_left_out_with_it(tmp_path: Path) -> None:
    body = {"tool_choice": {"type": "file_search"}}
    answer, record = ask(tmp_path, "responses", body, loose=False)
    assert (answer.status, answer.json["error"]["param"]) == (400, "tool_choice.type")
    answer, record = ask(tmp_path, "responses", body, loose=True)
    assert (answer.status, answer.headers["x-headgate-dropped"]) == (200, "tool_choice")
    assert record["dropped"] == ["tool_choice"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("endpoint", "body", "names"),
    [
        ("chat/completions", {"top_k": 5}, "top_k"),
        ("messages", {"top_k": 5, "output_config": {"effort": "max"}}, "output_config.effort"),
    ],
)
def test_a_replay_names_it_as_the_first_answer_did(
    tmp_path: Path, endpoint: str, body: Json, names: str, stream: bool
) -> None:
    async def twice() -> None:
        async with opened(config(tmp_path)) as place:
            asked = {"model": "chat-loose", **ASKED[endpoint], **body, "stream": stream}
            own = {"headgate": {"meta": True}}
            first, again = [
                await place.ask(
                    {**asked, **own}, path=f"/v1/{endpoint}", headers={"idempotency-key": "k"}
                )
                for _ in range(2)
            ]
        assert again.headers["idempotency-replayed"] == "true"
        said = first.headers["x-headgate-dropped"]
        assert names in said.split(", ") and "top_k" in said.split(", ")
        assert again.headers["x-headgate-dropped"] == said
        assert place.records[1]["dropped"] == place.records[0]["dropped"] == said.split(", ")
        assert again.body.count(b'"dropped"') == first.body.count(b'"dropped"') == 1

    asyncio.run(twice())
