"""What a dialect has no word for: kept apart, named, or refused, and never lost in silence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from aiohttp import web
from configs import PRICED, write_config
from dialect_world import SECRET, World, answers, dialect_world
from running import Server, serving
from upstream import (
    USAGE,
    Answer,
    Upstream,
    chunk,
    completion,
    replies,
    says,
    send_events,
    sse,
    upstream,
)

Json = dict[str, Any]
USER: list[Any] = [{"role": "user", "content": "Hi"}]
HALF, REST = SECRET[:10], SECRET[10:]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("borders")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def claude(world: World) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=world.server.url, api_key="none", max_retries=0) as made:
        yield made


def streams(*deltas: Json) -> Answer:
    async def answer(request: web.Request, body: Json) -> web.StreamResponse:
        bodies = [*map(chunk, deltas), chunk({}, "stop"), USAGE]
        return await send_events(request, [*map(sse, bodies), b"data: [DONE]\n\n"])

    return answer


def completed(client: openai.OpenAI, model: str, *, stream: bool) -> tuple[str, str]:
    """The text and the refusal of a completion, joined as a client joins the pieces."""
    told: Any = client.completions.create(model=model, prompt="Hi", stream=stream)
    choices = [c for one in (told if stream else [told]) for c in one.choices]
    return "".join(c.text for c in choices), "".join(
        c.model_dump().get("refusal", "") for c in choices
    )


@pytest.mark.parametrize("model", ["plain", "guarded"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_beside_a_text_is_no_part_of_the_text_of_a_completion(
    world: World, client: openai.OpenAI, model: str, stream: bool
) -> None:
    world.fake.answers[:] = [answers({"content": HALF, "refusal": REST}, pieces=99)]
    assert completed(client, model, stream=stream) == (HALF, REST)


@pytest.mark.parametrize("model", ["plain", "guarded"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_alone_is_the_text_of_a_completion(
    world: World, client: openai.OpenAI, model: str, stream: bool
) -> None:
    world.fake.answers[:] = [answers({"content": None, "refusal": "I will not say that."})]
    assert completed(client, model, stream=stream) == ("I will not say that.", "")


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_a_text_after_a_refusal_has_a_border_before_it(
    world: World, client: openai.OpenAI, model: str
) -> None:
    world.fake.answers[:] = [streams({"refusal": HALF}, {"content": REST}, {"content": "."})]
    text, refusal = completed(client, model, stream=True)
    assert SECRET not in text and HALF in text + refusal and REST in text


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_thoughts_of_two_names_are_not_joined(
    world: World, client: openai.OpenAI, claude: anthropic.Anthropic, model: str
) -> None:
    deltas = {"reasoning": f"my {HALF}"}, {"reasoning_content": f"{REST} x"}, {"content": "Yes."}
    world.fake.answers[:] = [streams(*deltas)]
    with claude.messages.stream(model=model, max_tokens=9, messages=USER) as stream:
        blocks: Any = stream.get_final_message().content
    assert [getattr(b, "thinking", None) or b.text for b in blocks] == [f"my {HALF}", "Yes."]
    with client.responses.stream(model=model, input="Hi") as events:
        items: Any = events.get_final_response().output
    assert items[0].content[0].text == f"my {HALF}"
    told = client.completions.create(model=model, prompt="Hi", stream=True)
    thoughts = [c.model_dump().get("reasoning_content") or "" for x in told for c in x.choices]
    assert "".join(thoughts) == f"my {HALF}"


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_thoughts_that_come_under_both_names_at_once_are_told_once(
    world: World, claude: anthropic.Anthropic, model: str
) -> None:
    both = [{"reasoning_content": x, "reasoning": x} for x in ("Think", "ing of it.")]
    world.fake.answers[:] = [streams(*both, {"content": "Yes."})]
    with claude.messages.stream(model=model, max_tokens=9, messages=USER) as stream:
        blocks: Any = stream.get_final_message().content
    assert "".join(b.thinking for b in blocks if b.type == "thinking") == "Thinking of it."


def test_cached_tokens_beyond_the_prompts_make_no_negative_number(
    world: World, claude: anthropic.Anthropic
) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    told = {**completion("Hi"), "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 9}}}
    world.fake.answers[:] = [replies(told)]
    message = claude.messages.create(model="plain", max_tokens=9, messages=USER)
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (0, 9)


def test_how_thoughts_are_displayed_is_named_as_left_out(
    world: World, claude: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello!")]
    thinking: Any = {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}
    raw = claude.messages.with_raw_response.create(
        model="plain", max_tokens=2048, messages=USER, thinking=thinking
    )
    assert raw.headers["x-headgate-dropped"] == "thinking.display"
    assert world.fake.seen[-1]["reasoning_effort"] == "low"


@pytest.mark.parametrize("kind", ["enabled", "disabled", "adaptive"])
def test_an_unknown_member_of_thinking_is_refused_by_name(
    world: World, claude: anthropic.Anthropic, kind: str
) -> None:
    thinking: Any = {"type": kind, "budget_tokens": 1024, "speed": "fast"}
    with pytest.raises(anthropic.BadRequestError) as told:
        claude.messages.create(model="plain", max_tokens=2048, messages=USER, thinking=thinking)
    body: Any = told.value.body
    assert body["error"]["param"] == "thinking.speed"
    assert body["error"]["code"] == "unsupported_parameter"


@pytest.mark.parametrize("role", ["user", "system"])
def test_a_turn_without_a_block_is_refused(
    world: World, claude: anthropic.Anthropic, role: Any
) -> None:
    turns: Any = [*USER, {"role": role, "content": []}]
    with pytest.raises(anthropic.BadRequestError) as told:
        claude.messages.create(model="plain", max_tokens=9, messages=turns)
    body: Any = told.value.body
    assert body["error"]["param"] == "messages[1].content"


def test_an_assistants_turn_without_a_block_stays_an_empty_turn(
    world: World, claude: anthropic.Anthropic
) -> None:
    world.fake.answers[:] = [says("Hello!")]
    turns: Any = [*USER, {"role": "assistant", "content": []}, *USER]
    claude.messages.create(model="plain", max_tokens=9, messages=turns)
    assert world.fake.seen[-1]["messages"][1] == {"role": "assistant", "content": ""}


def test_a_summary_of_the_thoughts_as_the_model_likes_is_left_out_and_named(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("Hello!")]
    raw = client.responses.with_raw_response.create(
        model="plain", input="Hi", reasoning={"effort": "low", "summary": "auto"}
    )
    assert raw.headers["x-headgate-dropped"] == "reasoning.summary"
    assert world.fake.seen[-1]["reasoning_effort"] == "low"


@pytest.mark.parametrize("name", ["summary", "generate_summary"])
def test_a_summary_of_a_certain_kind_is_refused_by_name(
    world: World, client: openai.OpenAI, name: str
) -> None:
    world.fake.seen.clear()
    reasoning: Any = {"effort": "low", name: "detailed"}
    with pytest.raises(openai.BadRequestError) as told:
        client.responses.create(model="plain", input="Hi", reasoning=reasoning)
    assert (told.value.param, told.value.code) == (f"reasoning.{name}", "unsupported_parameter")
    assert world.fake.seen == []


@pytest.fixture
def loose(tmp_path: Path) -> Iterator[tuple[Server, Upstream]]:
    pool = PRICED.replace("{{name: main, ", "{{name: main, drop_unsupported: true, ")
    config = pool + "routes:\n  - {{name: plain, pool: main}}\n"
    with upstream() as fake, serving(write_config(tmp_path, config.format(url=fake.url))) as made:
        yield made, fake


def test_a_pool_that_drops_leaves_out_either_and_names_it(loose: tuple[Server, Upstream]) -> None:
    server, fake = loose
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        raw = client.responses.with_raw_response.create(
            model="plain", input="Hi", reasoning={"effort": "low", "summary": "detailed"}
        )
    assert raw.headers["x-headgate-dropped"] == "reasoning.summary"
    assert fake.seen[-1]["reasoning_effort"] == "low"


UNSERVED = """
    assistants threads threads/t_1/runs realtime realtime/client_secrets fine_tuning/jobs uploads
    containers/c_1/files conversations evals organization/usage/costs projects videos skills
    chatkit/sessions files vector_stores audio/speech images/generations batches
    chat/completions/c_1
"""


@pytest.mark.parametrize("path", UNSERVED.split())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_else_openai_serves_answers_that_it_is_not_served(
    world: World, path: str, method: str
) -> None:
    ask = world.server.get(f"/v1/{path}") if method == "GET" else None
    status, told = ask or world.server.post(f"/v1/{path}", {})
    assert (status, told["error"]["code"]) == (404, "endpoint_not_served"), told
    assert f"/v1/{path}" in json.dumps(told)


def test_a_path_that_nobody_serves_is_still_unknown(world: World) -> None:
    status, told = world.server.get("/v1/nothing")
    assert (status, told["error"]["code"]) == (404, "unknown_path")
