"""``/v1/embeddings``, ``/v1/rerank`` and ``/v1/moderations`` in front of an upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from endpoints_world import World, world
from upstream import embeds, fails, replies, vectors_of

EMBEDDER = "text-embedding-3-small"
RANKED = {
    "id": "rr-1",
    "model": "bge",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "usage": {"total_tokens": 12},
}
JUDGED = {
    "id": "modr-1",
    "model": "omni",
    "results": [
        {
            "flagged": True,
            "categories": {},
            "category_scores": {},
            "category_applied_input_types": {},
        }
    ],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("endpoints")) as made:
        yield made


@pytest.fixture(autouse=True)
def well(place: World) -> None:
    place.fake.answers[:] = [embeds()]


def test_the_official_client_gets_vectors_usage_and_cost(place: World) -> None:
    raw = place.client().embeddings.with_raw_response.create(model=EMBEDDER, input=["ab", "abc"])
    answer = raw.parse()
    assert [one.embedding for one in answer.data] == vectors_of(["ab", "abc"])
    assert answer.usage.total_tokens == 9
    # 9 tokens in at 0.02 dollars per million
    assert raw.headers["x-headgate-cost-usd"] == "0.00000018"
    assert raw.headers["x-headgate-target"] == "up/small-embedder"
    assert place.fake.paths[-1] == "/v1/embeddings"
    assert place.fake.seen[-1]["model"] == "small-embedder"
    assert place.fake.seen[-1]["encoding_format"] == "base64"
    assert place.fake.headers[-1]["Authorization"] == "Bearer upstream-key"


def test_the_async_client_gets_the_same(place: World) -> None:
    async def ask() -> Any:
        url = f"{place.server.url}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            return await client.embeddings.create(
                model=EMBEDDER, input="ab", encoding_format="float", dimensions=3
            )

    answer = asyncio.run(ask())
    assert answer.data[0].embedding == vectors_of(["ab"])[0]
    assert place.fake.seen[-1]["dimensions"] == 3


def test_the_upstreams_bytes_are_not_touched(place: World) -> None:
    odd = {"object": "list", "data": [], "model": "m", "zeta": 1, "alpha": {"b": 1.50}}
    place.fake.answers[:] = [replies(odd)]
    status, answer = place.server.post("/v1/embeddings", {"model": EMBEDDER, "input": "x"})
    assert (status, list(answer)) == (200, list(odd))
    body = {"model": EMBEDDER, "input": "x", "headgate": {"meta": True}}
    _, answer = place.server.post("/v1/embeddings", body)
    assert answer["headgate"]["target"] == "up/small-embedder"
    assert "headgate" not in place.fake.seen[-1]


def test_a_call_is_on_record_with_its_endpoint_and_without_a_score(place: World) -> None:
    raw = place.client().embeddings.with_raw_response.create(model=EMBEDDER, input="abc")
    record = place.record(raw.headers["x-request-id"])
    assert record["endpoint"] == "embeddings"
    assert record["usage"]["input_tokens"] == 9
    names = [stage["name"] for stage in record["stages"]]
    assert names[:4] == ["authenticate", "admit", "join", "route"]
    assert record["cost_usd"] == "0.00000018"
    assert record["scores"] == []


def test_usage_that_never_came_is_estimated_from_the_texts(place: World) -> None:
    place.fake.answers[:] = [embeds(tokens=None)]
    raw = place.client().embeddings.with_raw_response.create(model=EMBEDDER, input=["x" * 40])
    usage = place.record(raw.headers["x-request-id"])["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["estimated"]) == (10, 0, True)
    tokens = place.client().embeddings.with_raw_response.create(model=EMBEDDER, input=[1, 2, 3])
    assert place.record(tokens.headers["x-request-id"])["usage"]["input_tokens"] == 3


def test_a_failing_upstream_falls_back_within_its_kind(place: World) -> None:
    place.fake.answers[:] = [fails(503), embeds()]
    raw = place.client().embeddings.with_raw_response.create(model=EMBEDDER, input="abc")
    assert raw.headers["x-headgate-target"] == "told/spare"
    assert raw.headers["x-headgate-attempts"] == "2"


def test_a_reply_without_vectors_is_a_failure_of_the_upstream(place: World) -> None:
    place.fake.answers[:] = [replies({"choices": []})]
    status, answer = place.server.post("/v1/embeddings", {"model": EMBEDDER, "input": "x"})
    assert (status, answer["error"]["code"]) == (502, "upstream_malformed")
    assert "`data`" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": EMBEDDER}, "input"),
        ({"model": EMBEDDER, "input": ""}, "input"),
        ({"model": EMBEDDER, "input": []}, "input"),
        ({"model": EMBEDDER, "input": ["a", ""]}, "input[1]"),
        ({"model": EMBEDDER, "input": ["a", {}]}, "input[1]"),
        ({"model": EMBEDDER, "input": ["a"] * 2049}, "input"),
        ({"model": EMBEDDER, "input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"model": EMBEDDER, "input": "x", "dimensions": 0}, "dimensions"),
        ({"model": EMBEDDER, "input": "x", "metadata": "no"}, "metadata"),
        ({"model": EMBEDDER, "input": "x", "headgate": {"inputs": {"a": 1}}}, "headgate.inputs"),
    ],
)
def test_a_wrong_member_is_named_and_nothing_is_sent(
    place: World, body: dict[str, Any], param: str
) -> None:
    before = len(place.fake.seen)
    status, answer = place.server.post("/v1/embeddings", body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert len(place.fake.seen) == before


@pytest.mark.parametrize(
    ("path", "body", "serves"),
    [
        ("/v1/embeddings", {"model": "gpt-4o", "input": "x"}, "serves chat"),
        ("/v1/embeddings", {"model": "ranker", "input": "x"}, "serves rerank"),
        (
            "/v1/chat/completions",
            {"model": EMBEDDER, "messages": [{"role": "user", "content": "hi"}]},
            "serves embeddings at /v1/embeddings",
        ),
        ("/v1/rerank", {"model": EMBEDDER, "query": "q", "documents": ["d"]}, "serves embeddings"),
    ],
)
def test_a_model_at_the_wrong_endpoint_says_what_it_serves(
    place: World, path: str, body: dict[str, Any], serves: str
) -> None:
    status, answer = place.server.post(path, body)
    assert status == 400
    assert repr(body["model"]) in answer["error"]["message"]
    assert serves in answer["error"]["message"]
    assert place.record(answer["error"]["call_id"])["outcome"] == "error"


def test_the_wrong_method_is_405(place: World) -> None:
    assert place.server.get("/v1/embeddings")[0] == 405


def test_documents_are_ranked(place: World) -> None:
    place.fake.answers[:] = [replies(RANKED)]
    body = {"model": "ranker", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 2}
    status, answer = place.server.post("/v1/rerank", body)
    assert (status, answer) == (200, RANKED)
    assert place.fake.paths[-1] == "/v1/rerank"
    assert place.fake.seen[-1] == {**body, "model": "bge"}


@pytest.mark.parametrize(
    ("member", "value"), [("query", ""), ("documents", []), ("documents", [3]), ("top_n", 0)]
)
def test_a_wrong_member_of_a_rerank_is_named(place: World, member: str, value: object) -> None:
    body = {"model": "ranker", "query": "q", "documents": ["a"], member: value}
    status, answer = place.server.post("/v1/rerank", body)
    assert status == 400
    assert answer["error"]["param"].startswith(member)


def test_the_official_client_moderates_without_naming_a_model(place: World) -> None:
    place.fake.answers[:] = [replies(JUDGED)]
    answer = place.client().moderations.create(input=["bad words"])
    assert answer.results[0].flagged
    assert place.fake.seen[-1] == {"input": ["bad words"], "model": "omni"}
    assert place.client().moderations.create(model="judge", input="bad").id == "modr-1"


def test_the_sdk_serves_embeddings_in_both_encodings(place: World) -> None:
    for encoding in ("float", "base64"):
        answer = place.server.post(
            "/v1/embeddings",
            {"model": "sdk-embedder", "input": ["ab"], "encoding_format": encoding},
        )
        assert answer[0] == 200, answer
        assert isinstance(answer[1]["data"][0]["embedding"], str if encoding == "base64" else list)
    raw = place.client().embeddings.with_raw_response.create(model="sdk-embedder", input=["ab"])
    assert raw.parse().data[0].embedding == vectors_of(["ab"])[0]
    # 9 tokens in at the bundled price of 0.02 dollars per million
    assert raw.headers["x-headgate-cost-usd"] == "0.00000018"
    place.fake.answers[:] = [fails(400, "too long")]
    with pytest.raises(openai.BadRequestError, match="too long"):
        place.client().embeddings.create(model="sdk-embedder", input=["ab"])


def test_the_sdk_ranks_documents(place: World) -> None:
    place.fake.answers[:] = [replies(RANKED)]
    body = {"model": "sdk-ranker", "query": "q", "documents": ["a", "b"]}
    status, answer = place.server.post("/v1/rerank", body)
    assert status == 200, answer
    assert [one["index"] for one in answer["results"]] == [1, 0]
