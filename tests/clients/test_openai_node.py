"""The official ``openai`` client for Node.js against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from clients_world import EMBEDDER, World, clients_world, in_turn, well
from dialect_world import SECRET, call, hangs
from node import drive, need_node
from upstream import Answer, fails, says, vectors_of

TWO_CALLS = [call(0, "weather", '{"place": "Oslo"}'), call(1, "weather", '{"place": "Rome"}')]
BOTH = [["call_0", "weather", {"place": "Oslo"}], ["call_1", "weather", {"place": "Rome"}]]
COST = "0.0000156"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_node()
    with clients_world(tmp_path_factory.mktemp("node")) as made:
        yield made


def driven(world: World, scenario: str, answer: Answer | None = None, key: str = "none") -> Any:
    world.fake.answers[:] = [answer or well()]
    return drive(scenario, f"{world.server.url}/v1", key)


def test_chat_with_its_call_id_and_cost(world: World) -> None:
    found = driven(world, "chat")
    assert (found["text"], found["usage"]) == ("Hello world", 18)
    assert found["request_id"] == found["own_id"] == found["headgate"]["call_id"]
    assert found["cost"] == found["headgate"]["cost_usd"] == COST
    assert world.record(found["request_id"])["cost_usd"] == COST
    assert "headgate" not in world.fake.seen[-1]


def test_a_stream_adds_up_and_costs_the_same(world: World) -> None:
    found = driven(world, "stream")
    assert (found["text"], found["usages"]) == ("Hello world", [18])
    assert found["headgate"]["cost_usd"] == COST


def test_the_stream_helper_builds_the_completion(world: World) -> None:
    assert driven(world, "helper") == {"text": "Hello world", "final": "Hello world"}


def test_parallel_tool_calls_whole_streamed_and_guarded(world: World) -> None:
    for found in driven(world, "tools", in_turn(TWO_CALLS)):
        assert (found["finish_reason"], found["calls"]) == ("tool_calls", BOTH)


def test_a_guards_refusal_ends_the_answer_well_formed(world: World) -> None:
    found = driven(world, "refused", well("The key is ", *SECRET, ", keep it."))
    assert found == ["content_filter"] * 2


def test_parsed_output_of_chat_and_responses(world: World) -> None:
    assert driven(world, "parsed", well('{"wo', 'rd": "hi"}')) == [{"word": "hi"}] * 3


def test_embeddings_are_decoded(world: World) -> None:
    assert driven(world, "embeddings") == [vectors_of(["ab", "abc"])] * 2


def test_responses_whole_and_streamed(world: World) -> None:
    found = driven(world, "responses")
    assert found["texts"] == ["Hello world"] * 3
    assert (found["types"][0], found["types"][-1]) == ("response.created", "response.completed")
    assert found["numbers"] == list(range(len(found["types"])))


def test_text_completions_models_and_moderations(world: World) -> None:
    found = driven(world, "others")
    assert found["completion"] == "Hello world"
    assert {"plain", "gpt-4o", EMBEDDER} <= set(found["models"])
    assert found["violence"] is True


def test_refused_calls_are_typed_errors(world: World) -> None:
    key = world.key(*(x for name in ("plain", "lost") for x in ("--model", name)))
    found = driven(world, "errors", key=key)
    names = {status: (one["name"], one["status"], one["code"]) for status, one in found.items()}
    assert names == {
        "400": ("BadRequestError", 400, "invalid_request"),
        "401": ("AuthenticationError", 401, "invalid_api_key"),
        "403": ("PermissionDeniedError", 403, "model_not_allowed"),
        "404": ("NotFoundError", 404, "model_not_found"),
        "409": ("ConflictError", 409, "idempotency_conflict"),
        "502": ("InternalServerError", 502, "upstream_unreachable"),
    }
    assert found["400"]["param"] == "temperature"
    assert found["502"]["requestID"]


def test_a_limit_is_a_rate_limit_error(world: World) -> None:
    key = world.key("--requests-per-minute", "1")
    first = driven(world, "chat", key=key)
    assert first["text"] == "Hello world"
    found = driven(world, "status", key=key)
    assert (found["name"], found["code"]) == ("RateLimitError", "rate_limit_exceeded")


def test_the_client_tries_again_by_itself(world: World) -> None:
    world.fake.answers[:] = [fails(503), well()]
    assert drive("retried", f"{world.server.url}/v1") == "Hello world"


def test_a_stream_that_breaks_off_is_an_error(world: World) -> None:
    found = driven(world, "truncated", says("Hello", done=False, finish=False))
    assert (found["name"], found["code"]) == ("APIError", "upstream_truncated")


def test_an_aborted_stream_closes_the_upstream(world: World) -> None:
    world.fake.hung_up = threading.Event()
    assert driven(world, "abort", hangs)["content"] == "Hel"
    assert world.fake.hung_up.wait(10)


def test_inputs_of_a_prompt(world: World) -> None:
    assert driven(world, "inputs").startswith("greet@")
    assert world.fake.seen[-1]["messages"][0]["content"] == "Greet Ann."
