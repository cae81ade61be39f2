"""Guards, keys, labels and ``/v1/models`` at the endpoints beside chat."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from endpoints_world import World, world
from guards_world import write
from upstream import embeds, replies, says

EMBEDDER = "text-embedding-3-small"
POLICY = """\
- {name: personal, use: pii, at: [input], action: mask, options: {types: [email]}}
- {name: secrets, use: secrets, at: [input], action: block}
"""
MORE = "defaults: {guards: [strict], capture: masked}\n"
KEY = "AKIA" + "IOSFODNN7" + "QZ4XKPE"
"""In the form of an access key; it opens nothing."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("endpoints-guarded")
    write(folder, POLICY, name="strict")
    with world(folder, more=MORE) as made:
        yield made


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("endpoints-keyed"), keys="required") as made:
        yield made


def test_masks_reach_the_body_that_is_forwarded(guarded: World) -> None:
    guarded.fake.answers[:] = [embeds()]
    raw = guarded.client().embeddings.with_raw_response.create(
        model=EMBEDDER, input=["mail ann@example.com", "nothing here"]
    )
    assert guarded.fake.seen[-1]["input"] == ["mail [EMAIL]", "nothing here"]
    record = guarded.record(raw.headers["x-request-id"])
    found = [(v["subject"], v["action"]) for v in record["verdicts"] if v["action"] != "pass"]
    assert found == [("input 1", "mask")]


def test_masks_reach_questions_and_documents(guarded: World) -> None:
    guarded.fake.answers[:] = [replies({"results": []})]
    body = {
        "model": "ranker",
        "query": "who is ann@example.com?",
        "documents": ["bob@example.com", {"text": "eve@example.com", "id": 3}],
    }
    assert guarded.server.post("/v1/rerank", body)[0] == 200
    seen = guarded.fake.seen[-1]
    assert seen["query"] == "who is [EMAIL]?"
    assert seen["documents"] == ["[EMAIL]", {"text": "[EMAIL]", "id": 3}]


def test_a_block_is_400_because_a_vector_cannot_say_no(guarded: World) -> None:
    before = len(guarded.fake.seen)
    status, body = guarded.server.post("/v1/embeddings", {"model": EMBEDDER, "input": KEY})
    assert (status, body["error"]["code"]) == (400, "guardrail_blocked")
    assert body["error"]["policy"] == "strict"
    assert len(guarded.fake.seen) == before
    assert guarded.record(body["error"]["call_id"])["outcome"] == "refused"


def test_token_ids_cannot_pass_a_guard_unread(guarded: World) -> None:
    before = len(guarded.fake.seen)
    status, body = guarded.server.post("/v1/embeddings", {"model": EMBEDDER, "input": [[1, 2]]})
    assert (status, body["error"]["param"]) == (400, "input")
    assert "check_embedding_ctx_length=False" in body["error"]["message"]
    assert len(guarded.fake.seen) == before


def test_a_guarded_pool_without_text_stages_still_forwards_the_bytes(guarded: World) -> None:
    odd: dict[str, object] = {"results": [], "usage": None, "zeta": 1}
    guarded.fake.answers[:] = [replies(odd)]
    body = {"model": "ranker", "query": "q", "documents": ["a"]}
    assert guarded.server.post("/v1/rerank", body) == (200, odd)


def test_a_pool_needs_a_key_that_names_it(keyed: World) -> None:
    keyed.fake.answers[:] = [embeds()]
    body = {"model": EMBEDDER, "input": "x"}
    assert keyed.server.post("/v1/embeddings", body)[0] == 401
    status, answer = keyed.server.post("/v1/embeddings", body, keyed.key("plain"))
    assert (status, answer["error"]["code"]) == (403, "model_not_allowed")
    headers = keyed.key(EMBEDDER)
    assert keyed.server.post("/v1/embeddings", body, headers)[0] == 200
    assert keyed.server.post("/v1/embeddings", {**body, "model": "judge"}, headers)[0] == 403


def test_models_are_listed_with_what_they_serve_and_cost(keyed: World) -> None:
    headers = keyed.key(EMBEDDER, "plain", "both", "words", "ranker")
    status, listed = keyed.server.get("/v1/models", headers)
    assert status == 200
    facts = {one["id"]: one["headgate"] for one in listed["data"]}
    assert set(facts) == {EMBEDDER, "plain", "gpt-4o", "both", "words", "ranker"}
    talk = {"kind": "chat", "input_per_mtok_usd": "0.4", "output_per_mtok_usd": "1.6"}
    assert facts["plain"] == talk
    # The dearer of two targets, member by member.
    assert facts["both"] == {**talk, "input_per_mtok_usd": "0.8"}
    assert facts["words"]["input_per_mtok_usd"] == "0"
    # Its fallback has no known price, so neither has a call.
    assert facts[EMBEDDER] == {"kind": "embeddings"}
    assert facts["ranker"] == {"kind": "rerank"}


def test_one_model_is_shown_and_a_hidden_one_is_not_found(keyed: World) -> None:
    headers = keyed.key("sdk-embedder", "gpt-4o")
    status, shown = keyed.server.get("/v1/models/sdk-embedder", headers)
    assert (status, shown["id"], shown["object"]) == (200, "sdk-embedder", "model")
    assert shown["headgate"]["context_tokens"] > 1000
    assert shown["headgate"]["input_per_mtok_usd"] == "0.02"
    client = keyed.client(headers["Authorization"].removeprefix("Bearer "))
    assert client.models.retrieve("gpt-4o").owned_by == "default"
    with pytest.raises(openai.NotFoundError, match="judge"):
        client.models.retrieve("judge")
    assert keyed.server.get("/v1/models/gpt-4o")[0] == 401


@pytest.mark.parametrize(
    ("metadata", "headers", "expected"),
    [
        (
            {"session_id": "s1", "user_id": "u1", "tags": "beta, eu"},
            {},
            ("s1", "u1", ["beta", "eu"]),
        ),
        ({"session": "s2", "user": "u2", "tags": ["a", 3]}, {}, ("s2", "u2", ["a", "3"])),
        (
            {"session": "s3", "user": "u3", "tags": "b"},
            {
                "x-headgate-session": "h",
                "x-headgate-user": "hu",
                "x-headgate-tags": "x,y",
            },
            ("h", "hu", ["x", "y"]),
        ),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_session_user_and_tags_are_recorded(
    guarded: World,
    path: str,
    metadata: dict[str, object],
    headers: dict[str, str],
    expected: tuple[str, str, list[str]],
) -> None:
    chat = path.endswith("completions")
    guarded.fake.answers[:] = [says("ok")] if chat else [embeds()]
    body: dict[str, object]
    body = {"model": "plain", "messages": [{"role": "user", "content": "hi"}]}
    if not chat:
        body = {"model": EMBEDDER, "input": "hi"}
    body |= {"metadata": metadata, "headgate": {"meta": True}}
    status, answer = guarded.server.post(path, body, headers)
    assert status == 200, answer
    record = guarded.record(answer["headgate"]["call_id"])
    assert (record["session"], record["user"], record["tags"]) == expected
    assert "metadata" not in guarded.fake.seen[-1]


def test_metadata_goes_upstream_where_the_provider_says_so(guarded: World) -> None:
    guarded.fake.answers[:] = [says("ok")]
    status, _ = guarded.server.chat("noted", "hi", metadata={"session": "s"})
    assert (status, guarded.fake.seen[-1]["metadata"]) == (200, {"session": "s"})
