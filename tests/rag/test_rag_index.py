"""The embedded index: fusion, scores, replacing, broken folders."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from index_world import X, Y, Z, ask, chunk, documents, put

from headgate_core.errors import BrokenIndex, ConfigurationError, ServiceError
from headgate_rag.indexes.embedded import Embedded

pytest.importorskip("qdrant_edge")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Embedded]:
    index = Embedded()
    index.open(tmp_path / "points", 3)
    yield index
    index.close()


def near(cosine: float) -> list[float]:
    return [cosine, math.sqrt(1 - cosine**2), 0.0]


@pytest.fixture
def three(index: Embedded) -> Embedded:
    """For ``zebra`` and X: dense order a, b, c; BM25 order c, a; b has no such word."""
    put(index, "a", "one zebra among many other words here", near(0.9))
    put(index, "b", "nothing of the kind", near(0.8))
    put(index, "c", "zebra zebra zebra", near(0.1))
    return index


def test_ranks_are_fused_with_k_60(three: Embedded) -> None:
    hits = three.query(ask("zebra"), X, "t")
    # By hand: the first place of a list is worth 1/60, the second 1/61, the third 1/62.
    expected = {"a": 1 / 60 + 1 / 61, "b": 1 / 61, "c": 1 / 62 + 1 / 60}
    assert documents(hits) == ["a", "c", "b"]
    for hit in hits:
        assert hit["score"] == pytest.approx(expected[hit["payload"]["document"]], rel=1e-5)
        assert hit["scores"]["rrf"] == hit["score"]


def test_a_weight_makes_the_places_of_its_list_count_for_more(three: Embedded) -> None:
    hits = three.query(ask("zebra", dense_weight=1.0, bm25_weight=3.0), X, "t")
    # A place p (from 0) under a weight w is worth 1 / ((p + 1) / w + 59).
    expected = {
        "a": 1 / 60 + 1 / (2 / 3 + 59),
        "b": 1 / 61,
        "c": 1 / 62 + 1 / (1 / 3 + 59),
    }
    for hit in hits:
        assert hit["score"] == pytest.approx(expected[hit["payload"]["document"]], rel=1e-5)


def test_a_weight_of_zero_leaves_its_list_out(three: Embedded) -> None:
    assert documents(three.query(ask("zebra", dense_weight=0.0), X, "t")) == ["c", "a"]
    assert documents(three.query(ask("zebra", bm25_weight=0.0), X, "t")) == ["a", "b", "c"]


def test_every_hit_says_how_near_it_is_and_which_words_matched(three: Embedded) -> None:
    scores = {h["payload"]["document"]: h["scores"] for h in three.query(ask("zebra"), X, "t")}
    assert scores["a"]["dense"] == pytest.approx(0.9, abs=1e-4)
    assert scores["b"]["dense"] == pytest.approx(0.8, abs=1e-4)
    assert scores["c"]["dense"] == pytest.approx(0.1, abs=1e-4)
    assert scores["c"]["bm25"] > scores["a"]["bm25"] > 0
    assert "bm25" not in scores["b"]


def test_a_query_of_nothing_but_stop_words_is_answered_by_meaning_alone(three: Embedded) -> None:
    hits = three.query(ask("the of ???"), X, "t")
    assert documents(hits) == ["a", "b", "c"]
    assert all("bm25" not in hit["scores"] for hit in hits)
    assert three.query(ask("the of ???", dense_weight=0.0), X, "t") == []


def test_no_more_hits_than_asked_for_and_ties_always_fall_the_same_way(index: Embedded) -> None:
    for name in "abcdefgh":
        put(index, name, "zebra", X)
    first = [hit["id"] for hit in index.query(ask("zebra", top_k=3), X, "t")]
    assert len(first) == 3
    assert all(
        [hit["id"] for hit in index.query(ask("zebra", top_k=3), X, "t")] == first for _ in range(5)
    )


def test_what_a_citation_needs_comes_with_the_hit(index: Embedded) -> None:
    put(index, "guide.md", "zebra", X, language="en", reviewed=None)
    (hit,) = index.query(ask("zebra"), X, "t")
    payload = hit["payload"]
    assert (payload["text"], payload["start"], payload["end"]) == ("zebra", 10, 15)
    assert (payload["title"], payload["heading"], payload["anchor"]) == (
        "Title",
        ["One", "Two"],
        "two",
    )
    assert payload["metadata"] == {"language": "en", "reviewed": None}


def test_replacing_a_document_leaves_nothing_of_the_old_one(index: Embedded) -> None:
    old = [chunk(f"old {n}", ordinal=n) for n in range(3)]
    index.replace("t", "d", old, [X, X, X])
    index.replace("other", "d", old, [X, X, X])
    index.replace("t", "d", [chunk("new", ordinal=0)], [Y])
    assert [h["payload"]["text"] for h in index.query(ask("new"), Y, "t")] == ["new"]
    assert index.count() == 1 + 3


def test_writing_the_same_twice_changes_nothing(index: Embedded) -> None:
    chunks = [chunk(f"text {n}", ordinal=n) for n in range(450)]
    vectors = [X, Y, Z] * 150
    index.replace("t", "d", chunks, vectors)
    before = [hit["id"] for hit in index.query(ask("text"), X, "t")]
    index.replace("t", "d", chunks, vectors)
    assert index.count() == 450
    assert [hit["id"] for hit in index.query(ask("text"), X, "t")] == before


def test_too_few_vectors_write_nothing(index: Embedded) -> None:
    with pytest.raises(ServiceError, match="1 vectors for 2 chunks"):
        index.replace("t", "d", [chunk("a"), chunk("b", ordinal=1)], [X])
    assert index.count() == 0


def test_everything_is_there_after_closing_and_opening(index: Embedded, tmp_path: Path) -> None:
    put(index, "d", "zebra", X)
    index.close()
    index.open(tmp_path / "points", 3)
    assert documents(index.query(ask("zebra"), X, "t")) == ["d"]


def test_a_second_owner_is_turned_away_without_talk_of_rebuilding(
    index: Embedded, tmp_path: Path
) -> None:
    with pytest.raises(ServiceError, match="open in another process") as refused:
        Embedded().open(tmp_path / "points", 3)
    assert not isinstance(refused.value, BrokenIndex)


def test_an_unknown_language_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="klingon"):
        Embedded(language="klingon").open(tmp_path / "points", 3)


def _garbage(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage in every file": _garbage,
    "an empty folder": _empty,
    "no segments": lambda folder: shutil.rmtree(folder / "segments"),
    "a segment without its description": lambda folder: next(
        folder.glob("segments/*/segment.json")
    ).unlink(),
    "a description of nonsense": lambda folder: (
        (folder / "edge_config.json").write_text("?") and None
    ),
    "payloads missing": lambda folder: next(
        folder.glob("segments/*/payload_storage/page_0.dat")
    ).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_folder_is_an_error_and_never_an_empty_index(
    index: Embedded, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    put(index, "d", "zebra", X)
    index.close()
    damage(tmp_path / "points")
    with pytest.raises(BrokenIndex):
        index.open(tmp_path / "points", 3)


def test_vectors_of_another_length_do_not_open_the_index(index: Embedded, tmp_path: Path) -> None:
    put(index, "d", "zebra", X)
    index.close()
    with pytest.raises(BrokenIndex):
        index.open(tmp_path / "points", 4)


PARTS = ["vector_storage-dense", "vector_storage-bm25", "payload_storage", "payload_index"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_gone_from_a_closed_index_is_named_and_not_filled_with_nothing(
    three: Embedded, tmp_path: Path, part: str
) -> None:
    three.close()
    gone = next((tmp_path / "points").glob(f"segments/*/{part}"))
    shutil.rmtree(gone)
    for _ in range(2):
        with pytest.raises(BrokenIndex, match=f"{part} is missing"):
            Embedded().open(tmp_path / "points", 3)
    assert not gone.exists()


@pytest.mark.parametrize("part", PARTS[:1] + PARTS[2:3])
def test_parts_that_contradict_each_other_are_a_broken_index_and_no_lookup_error(
    three: Embedded, tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    three.close()
    shutil.rmtree(next((tmp_path / "points").glob(f"segments/*/{part}")))
    monkeypatch.setattr(Embedded, "damage", lambda _self, _folder: "")
    three.open(tmp_path / "points", 3)
    for words in ("zebra", "the of"):
        with pytest.raises(BrokenIndex, match=r"missing|have no vectors"):
            three.query(ask(words), X, "t")


def test_a_tenant_without_documents_finds_nothing_and_nothing_is_broken(three: Embedded) -> None:
    assert three.query(ask("zebra", tenant="nobody"), X, "nobody") == []
