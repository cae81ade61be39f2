"""Legacy text completions in: a real server, the official client, a chat upstream."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from dialect_world import ATTACK, MASKED, TEXT, World, dialect_world, hangs
from upstream import says


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with dialect_world(tmp_path_factory.mktemp("completions")) as made:
        yield made


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[openai.OpenAI]:
    url = f"{world.server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as made:
        yield made


def test_a_completion_has_text_usage_and_the_headgate_member(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    answer = client.completions.create(model="plain", prompt="Say hello.", max_tokens=9, stop="!")
    assert (answer.object, answer.choices[0].text) == ("text_completion", "Hello world")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == 18
    assert answer.model_dump()["headgate"]["cost_usd"] == world.chat_cost("Say hello.")
    seen = world.fake.seen[0]
    assert seen["messages"] == [{"role": "user", "content": "Say hello."}]
    assert (seen["max_tokens"], seen["stop"]) == (9, "!")


def test_a_stream_says_the_same_and_has_usage_only_when_asked(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("Hello", " world")]
    chunks = list(client.completions.create(model="plain", prompt="Say hello.", stream=True))
    assert "".join(c.choices[0].text for c in chunks) == "Hello world"
    assert [c.choices[0].finish_reason for c in chunks] == [None, None, "stop"]
    assert all(c.usage is None for c in chunks)
    assert chunks[-1].model_dump()["headgate"]["cost_usd"] == world.chat_cost("Say hello.")
    asked = client.completions.create(
        model="plain", prompt="Hi", stream=True, stream_options={"include_usage": True}
    )
    assert [c.usage.total_tokens for c in asked if c.usage is not None] == [18]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True}, "echo"),
        ({"logprobs": 0}, "logprobs"),
        ({"tools": []}, "tools"),
    ],
)
def test_what_cannot_be_served_is_refused_by_name(
    world: World, body: dict[str, Any], param: str
) -> None:
    before = len(world.fake.seen)
    status, answer = world.server.post("/v1/completions", {"model": "plain", "prompt": "a", **body})
    assert (status, answer["error"]["param"]) == (400, param)
    assert len(world.fake.seen) == before


def test_a_list_of_one_prompt_is_that_prompt(world: World, client: openai.OpenAI) -> None:
    world.fake.answers[:] = [says("Hello")]
    client.completions.create(model="plain", prompt=["Say hello."], echo=False, best_of=1)
    assert world.fake.seen[-1]["messages"] == [{"role": "user", "content": "Say hello."}]


@pytest.mark.parametrize("cut", [1, 12, 18, 28])
def test_a_mask_holds_in_a_stream_wherever_it_is_cut(
    world: World, client: openai.OpenAI, cut: int
) -> None:
    world.fake.answers[:] = [says(TEXT[:cut], TEXT[cut:])]
    chunks = list(client.completions.create(model="guarded", prompt="hi", stream=True))
    assert "".join(c.choices[0].text for c in chunks) == MASKED


def test_a_blocked_prompt_is_refused_as_the_policy_says(
    world: World, client: openai.OpenAI
) -> None:
    with pytest.raises(openai.BadRequestError) as blocked:
        client.completions.create(model="strict", prompt=ATTACK)
    assert (blocked.value.code, blocked.value.param) == ("guardrail_blocked", "prompt")


def test_a_truncated_stream_ends_in_an_error_and_without_done(
    world: World, client: openai.OpenAI
) -> None:
    world.fake.answers[:] = [says("Hello", done=False, finish=False)]
    stream = client.completions.create(model="plain", prompt="hi", stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "upstream_truncated"


def test_a_hang_up_reaches_the_upstream(world: World, client: openai.OpenAI) -> None:
    world.fake.hung_up = threading.Event()
    world.fake.answers[:] = [hangs]
    stream = client.completions.create(model="plain", prompt="hi", stream=True)
    assert next(iter(stream)).choices[0].text == "Hel"
    stream.close()
    assert world.fake.hung_up.wait(10)
