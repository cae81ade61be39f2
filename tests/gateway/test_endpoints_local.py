"""``/v1/embeddings`` from the embedding model of this installation."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import openai
import pytest
from configs import write_config
from langchain_openai import OpenAIEmbeddings
from pydantic import SecretStr
from running import Server, serving

from headgate_core.settings.load import load_settings
from headgate_core.types import Principal, Purpose
from headgate_gateway.build import Gateway

pytestmark = pytest.mark.slow

CONFIG = """\
auth: {keys: open}
providers:
  - {name: here, use: local_embeddings}
  - {name: strict, use: local_embeddings, options: {token_ids: refuse}}
pools:
  - {name: minilm, serves: embeddings, targets: [{provider: here, model: all-MiniLM-L6-v2}]}
  - name: loose
    serves: embeddings
    targets: [{provider: here, model: all-MiniLM-L6-v2}]
    drop_unsupported: true
  - {name: texts, serves: embeddings, targets: [{provider: strict, model: all-MiniLM-L6-v2}]}
"""
TEXTS = ["The cat sat on the mat.", "Interest rates rose again."]


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    config = write_config(tmp_path_factory.mktemp("local"), CONFIG)
    with serving(config) as server:
        yield server, config


def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_vectors_are_those_of_the_embedder_in_both_encodings(local: tuple[Server, Path]) -> None:
    server, config = local

    async def own() -> list[list[float]]:
        gateway = await Gateway.open(load_settings(config))
        try:
            who = Principal(key_id="test")
            return await gateway.tools.embedder.embed(TEXTS, Purpose.EMBED, who)
        finally:
            await gateway.close()

    expected = asyncio.run(own())
    status, body = server.post("/v1/embeddings", {"model": "minilm", "input": TEXTS})
    assert status == 200
    assert [one["embedding"] for one in body["data"]] == expected
    packed = client(server).embeddings.create(model="minilm", input=TEXTS)
    for one, vector in zip(packed.data, expected, strict=True):
        assert one.embedding == pytest.approx(vector, abs=1e-7)
        assert math.isclose(sum(x * x for x in vector), 1.0, abs_tol=1e-6)


def test_usage_is_estimated_and_nothing_is_charged(local: tuple[Server, Path]) -> None:
    raw = client(local[0]).embeddings.with_raw_response.create(model="minilm", input=TEXTS[0])
    assert raw.headers["x-headgate-cost-usd"] == "0"
    assert raw.parse().usage.prompt_tokens >= 6
    _, record = local[0].get(f"/v1/calls/{raw.headers['x-request-id']}")
    assert record["usage"]["estimated"] is True
    assert record["usage"]["input_tokens"] == raw.parse().usage.prompt_tokens


def test_token_ids_mean_the_text_that_they_were_made_of(local: tuple[Server, Path]) -> None:
    # cl100k_base of the two texts below
    cat = [791, 8415, 7731, 389, 279, 5634, 13]
    naive = [3458, 38672, 588, 91416]
    made = client(local[0]).embeddings
    for given, texts in (
        (cat, ["The cat sat on the mat."]),
        ([cat, naive], ["The cat sat on the mat.", "naïve 😀"]),
    ):
        from_ids = made.create(model="minilm", input=given)
        from_text = made.create(model="minilm", input=texts)
        assert [one.embedding for one in from_ids.data] == [one.embedding for one in from_text.data]
        assert from_ids.usage == from_text.usage


@pytest.mark.parametrize(
    ("given", "param"), [([1, 100256], "input[1]"), ([[1], [2, 3, 10**9]], "input[1][2]")]
)
def test_a_token_id_outside_the_vocabulary_is_named(
    local: tuple[Server, Path], given: Any, param: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="no token id of cl100k_base") as caught:
        client(local[0]).embeddings.create(model="minilm", input=given)
    assert caught.value.param == param


def test_token_ids_can_be_refused_with_the_fix(local: tuple[Server, Path]) -> None:
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as caught:
        client(local[0]).embeddings.create(model="texts", input=[[1, 2], [3]])
    assert caught.value.param == "input"
    assert client(local[0]).embeddings.create(model="texts", input="x").data


def test_dimensions_cannot_be_honoured(local: tuple[Server, Path]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(local[0]).embeddings.create(model="minilm", input="x", dimensions=64)
    assert (caught.value.param, caught.value.code) == ("dimensions", "unsupported_parameter")
    raw = client(local[0]).embeddings.with_raw_response.create(
        model="loose", input="x", dimensions=64
    )
    assert raw.headers["x-headgate-dropped"] == "dimensions"
    assert len(raw.parse().data[0].embedding) == 384


def langchain(server: Server, **more: Any) -> OpenAIEmbeddings:
    url = f"{server.url}/v1"
    return OpenAIEmbeddings(
        model="minilm", openai_api_base=url, openai_api_key=SecretStr("none"), **more
    )


def test_langchain_embeds_text(local: tuple[Server, Path]) -> None:
    embedder = langchain(local[0], check_embedding_ctx_length=False)
    documents = embedder.embed_documents(TEXTS)
    query = embedder.embed_query("a cat on a mat")
    near, far = (sum(a * b for a, b in zip(query, d, strict=True)) for d in documents)
    assert near > far + 0.3


def test_langchain_as_it_is_gets_the_vectors_of_its_texts(
    local: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("litellm")
    assert spec is not None and spec.origin is not None
    tables = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tables))  # the client's own, without a download
    texts = [*TEXTS, "日本語のテキスト, naïve 😀 and <|endoftext|>\n\n  x = {}"]
    expected = langchain(local[0], check_embedding_ctx_length=False).embed_documents(texts)
    for vector, same in zip(langchain(local[0]).embed_documents(texts), expected, strict=True):
        assert vector == pytest.approx(same, abs=1e-7)
