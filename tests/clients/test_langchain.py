"""LangChain's ``ChatOpenAI`` and ``OpenAIEmbeddings`` against a real server."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from clients_world import EMBEDDER, World, clients_world, in_turn, well
from dialect_world import ATTACK, SECRET, answers, call
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr
from upstream import vectors_of

NOBODY = SecretStr("none")
TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]


class Greeting(BaseModel):
    """What structured output is parsed into."""

    word: str


@tool
def weather(place: str) -> str:
    """The weather of a place."""
    return f"rain in {place}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with clients_world(tmp_path_factory.mktemp("langchain")) as made:
        yield made


@pytest.fixture(autouse=True)
def upstream_is_well(world: World) -> None:
    world.fake.answers[:] = [well()]


def chat(world: World, model: str = "gpt-4o", **more: Any) -> ChatOpenAI:
    url = f"{world.server.url}/v1"
    return ChatOpenAI(model=model, base_url=url, api_key=NOBODY, max_retries=0, **more)


def test_invoke_has_text_usage_and_the_call_id(world: World) -> None:
    answer = chat(world, include_response_headers=True).invoke(
        [SystemMessage("Be kind."), HumanMessage("Say hello.")]
    )
    assert answer.content == "Hello world"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] == 18
    assert answer.response_metadata["model_name"] == "fake"
    assert answer.response_metadata["finish_reason"] == "stop"
    headers = answer.response_metadata["headers"]
    assert headers["x-headgate-cost-usd"] == "0.0000156"
    assert len(headers["x-request-id"]) == 36
    assert [m["role"] for m in world.fake.seen[-1]["messages"]] == ["system", "user"]


def with_async_client(ask: Callable[[Any], Awaitable[Any]]) -> Any:
    """What comes of ``ask``, which gets a connection pool that is closed at the end."""

    async def whole() -> Any:
        async with openai.DefaultAsyncHttpxClient() as pool:
            return await ask(pool)

    return asyncio.run(whole())


def test_stream_and_astream_add_up_to_the_answer(world: World) -> None:
    async def pieces(pool: Any) -> list[Any]:
        model = chat(world, stream_usage=True, http_async_client=pool)
        return [piece async for piece in model.astream("Say hello.")]

    for found in (
        list(chat(world, stream_usage=True).stream("Say hello.")),
        with_async_client(pieces),
    ):
        assert "".join(str(piece.content) for piece in found) == "Hello world"
        whole: Any = found[0]
        for piece in found[1:]:
            whole += piece
        assert whole.usage_metadata["total_tokens"] == 18


def test_ainvoke_and_batch(world: World) -> None:
    answer = with_async_client(lambda pool: chat(world, http_async_client=pool).ainvoke("Hello?"))
    assert answer.content == "Hello world"
    assert [m.content for m in chat(world).batch(["a", "b", "c"])] == ["Hello world"] * 3


@pytest.mark.parametrize("model", ["plain", "guarded"])
def test_bound_tools_are_called_and_their_results_go_back(world: World, model: str) -> None:
    world.fake.answers[:] = [in_turn(TWO_CALLS)]
    bound = chat(world, model).bind_tools([weather])
    whole: Any = bound.invoke("How is it there?")
    streamed: Any = None
    for piece in bound.stream("How is it there?"):
        streamed = piece if streamed is None else streamed + piece
    for answer in (whole, streamed):
        assert [(c["id"], c["name"], c["args"]) for c in answer.tool_calls] == [
            ("call_0", "weather", {"place": "Oslo"}),
            ("call_1", "weather", {"place": "Rome"}),
        ]
    assert world.fake.seen[-1]["tools"][0]["function"]["name"] == "weather"
    world.fake.answers[:] = [well("Rain.")]
    results = [weather.invoke(one) for one in whole.tool_calls]
    assert all(isinstance(result, ToolMessage) for result in results)
    final = bound.invoke([HumanMessage("How is it there?"), whole, *results])
    assert final.content == "Rain."
    said = world.fake.seen[-1]["messages"]
    assert [m["role"] for m in said] == ["user", "assistant", "tool", "tool"]
    assert said[-1]["content"] == "rain in Rome"


def test_tools_that_a_target_cannot_honour_are_refused_by_name(world: World) -> None:
    with pytest.raises(openai.BadRequestError, match="tools"):
        chat(world, "spoken").bind_tools([weather]).invoke("Say hello.")


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
def test_structured_output(world: World, method: Any) -> None:
    text = '{"word": "hi"}'
    if method == "function_calling":
        world.fake.answers[:] = [in_turn([call(0, "Greeting", text)])]
    else:
        world.fake.answers[:] = [well(text)]
    model = chat(world).with_structured_output(Greeting, method=method)
    assert model.invoke("Say hello as JSON.") == Greeting(word="hi")


def test_inputs_of_a_prompt_and_labels_of_the_call(world: World) -> None:
    answer = chat(
        world,
        "prompted",
        extra_body={"headgate": {"inputs": {"name": "Ann"}}},
        default_headers={"x-headgate-session": "s-1", "x-headgate-tags": "a, b"},
        include_response_headers=True,
    ).invoke("Go on.")
    assert world.fake.seen[-1]["messages"][0]["content"] == "Greet Ann."
    record = world.record(answer.response_metadata["headers"]["x-request-id"])
    assert (record["session"], record["tags"]) == ("s-1", ["a", "b"])


def test_a_refusal_is_told_by_its_finish_reason_or_raised(world: World) -> None:
    world.fake.answers[:] = [well(f"The key is {SECRET}.")]
    refused = chat(world, "guarded").invoke("Which key?")
    assert refused.content == "Not with me."
    assert refused.response_metadata["finish_reason"] == "content_filter"
    with pytest.raises(openai.BadRequestError) as blocked:
        chat(world, "strict").invoke(ATTACK)
    assert blocked.value.code == "guardrail_blocked"


def test_the_responses_api(world: World) -> None:
    model = chat(world, use_responses_api=True)
    assert model.invoke("Say hello.").text == "Hello world"
    assert "".join(piece.text for piece in model.stream("Say hello.")) == "Hello world"


SENTENCE = "I look up the weather."
CALLING: list[tuple[dict[str, Any], int]] = [
    ({"tool_calls": TWO_CALLS}, 2),
    ({"content": SENTENCE, "tool_calls": TWO_CALLS[:1]}, 1),
    ({"content": SENTENCE, "tool_calls": TWO_CALLS}, 2),
    ({"reasoning_content": "Two places here.", "content": SENTENCE, "tool_calls": TWO_CALLS}, 2),
]


@pytest.mark.parametrize("model", ["plain", "guarded"])
@pytest.mark.parametrize(("message", "calls"), CALLING)
def test_tools_are_called_over_the_responses_api(
    world: World, model: str, message: dict[str, Any], calls: int
) -> None:
    world.fake.answers[:] = [answers(message, "tool_calls")]  # the calls' arguments interleaved
    bound = chat(world, model, use_responses_api=True).bind_tools([weather])
    whole: Any = bound.invoke("How is it there?")
    streamed: Any = None
    for piece in bound.stream("How is it there?"):
        streamed = piece if streamed is None else streamed + piece
    expected = [("call_0", {"place": "Oslo"}), ("call_1", {"place": "Rome"})][:calls]
    for answer in (whole, streamed):
        assert not answer.invalid_tool_calls
        assert [(c["id"], c["args"]) for c in answer.tool_calls] == expected
        assert answer.text == message.get("content", "")
    world.fake.answers[:] = [well("Rain.")]
    results = [weather.invoke(one) for one in streamed.tool_calls]
    final = bound.invoke([HumanMessage("How is it there?"), streamed, *results])
    assert final.text == "Rain."
    said = world.fake.seen[-1]["messages"][1]
    assert [c["function"]["arguments"] for c in said["tool_calls"]] == [
        one["function"]["arguments"] for one in TWO_CALLS[:calls]
    ]


@pytest.fixture
def tokens_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of OpenAI's tokenizer, which are there already, instead of a download."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(folder))


def embedder(world: World, **more: Any) -> OpenAIEmbeddings:
    url = f"{world.server.url}/v1"
    return OpenAIEmbeddings(model=EMBEDDER, openai_api_base=url, openai_api_key=NOBODY, **more)


@pytest.mark.usefixtures("tokens_at_hand")
def test_embeddings_are_asked_for_with_token_ids(world: World) -> None:
    texts = ["one", "two words here"]
    vectors = embedder(world).embed_documents(texts)
    sent = world.fake.seen[-1]["input"]
    assert all(isinstance(token, int) for tokens in sent for token in tokens)
    assert vectors == vectors_of(sent)

    def again(pool: Any) -> Awaitable[Any]:
        return embedder(world, http_async_client=pool).aembed_documents(texts)

    assert with_async_client(again) == vectors


def test_embeddings_are_asked_for_with_texts(world: World) -> None:
    texts = ["one", "two words here"]
    made = embedder(world, check_embedding_ctx_length=False)
    assert made.embed_documents(texts) == vectors_of(texts)
    assert world.fake.seen[-1]["input"] == texts
    assert made.embed_query("one") == vectors_of(["one"])[0]
