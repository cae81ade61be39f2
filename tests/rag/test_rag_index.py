"""The embedded index: fusion, scores, tenants, groups, conditions, replacing, broken folders."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headgate_core.errors import BrokenIndex, ConfigurationError, InvalidRequest, ServiceError
from headgate_core.types import Principal
from headgate_rag.indexes.embedded import Embedded
from headgate_rag.types import Chunk, Query

pytest.importorskip("qdrant_edge")

X, Y, Z = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def chunk(text: str, document: str = "d", ordinal: int = 0, **metadata: Any) -> Chunk:
    return Chunk(
        document=document,
        ordinal=ordinal,
        text=text,
        start=10,
        end=10 + len(text),
        title="Title",
        heading=("One", "Two"),
        anchor="two",
        embedded=text,
        metadata=metadata,
    )


def ask(text: str, tenant: str = "t", groups: tuple[str, ...] = (), **wish: Any) -> Query:
    return Query("c", text, Principal("k", tenant=tenant, groups=groups), **wish)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Embedded]:
    index = Embedded()
    index.open(tmp_path / "points", 3)
    yield index
    index.close()


def documents(hits: list[Any]) -> list[str]:
    return [hit["payload"]["document"] for hit in hits]


def put(index: Embedded, document: str, text: str, vector: list[float], **more: Any) -> None:
    tenant = more.pop("tenant", "t")
    index.replace(tenant, document, [chunk(text, document, **more)], [vector])


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


def test_no_query_of_any_shape_ever_crosses_tenants(index: Embedded) -> None:
    rng = random.Random(20261120)
    words = ["zebra", "gnu", "okapi", "tapir", "ibex"]
    tenants = ["acme", "globex", "initech", "*", "acme ", "ACME", "a|b", ""]
    for tenant in tenants:
        for name in ("one", "two"):
            chunks = [
                chunk(
                    " ".join([*rng.choices(words, k=6), f"secret-of-{tenant}"]),
                    ordinal=n,
                    tenant_claimed=rng.choice(tenants),
                    language=rng.choice(["en", "de"]),
                )
                for n in range(6)
            ]
            vectors = [[rng.gauss(0, 1) for _ in range(3)] for _ in chunks]
            index.replace(tenant, name, chunks, vectors)
    for _ in range(150):
        tenant = rng.choice(tenants)
        wish: dict[str, Any] = {
            "top_k": rng.choice([1, 3, 50, 100]),
            "candidates": rng.choice([1, 5, 50, 1000]),
            "dense_weight": rng.choice([0.0, 0.5, 1.0, 3.0]),
            "bm25_weight": rng.choice([0.0, 0.5, 1.0, 3.0]),
            "where": rng.choice([{}, {"language": "en"}, {"tenant_claimed": rng.choice(tenants)}]),
        }
        text = rng.choice([*words, " ".join(words), "the of", "secret-of-globex", ""])
        vector = [rng.gauss(0, 1) for _ in range(3)]
        hits = index.query(ask(text, tenant="whatever", **wish), vector, tenant)
        assert [h["payload"]["tenant"] for h in hits] == [tenant] * len(hits), (tenant, wish)
    assert index.query(ask("zebra"), X, "unheard-of") == []


def test_scores_tell_nothing_of_other_tenants_words(tmp_path: Path) -> None:
    def score(others: int) -> float:
        index = Embedded()
        index.open(tmp_path / f"points{others}", 3)
        put(index, "mine", "zebra crossing", X)
        put(index, "mine2", "gnu", Y)
        theirs = [chunk("zebra", ordinal=n) for n in range(others)]
        index.replace("other", "theirs", theirs, [X] * others)
        (hit,) = index.query(ask("zebra", dense_weight=0.0), X, "t")
        index.close()
        return float(hit["scores"]["bm25"])

    assert score(0) == score(30)


def test_a_document_for_groups_is_seen_by_their_members_alone(index: Embedded) -> None:
    put(index, "open", "zebra", X)
    put(index, "empty", "zebra", X, groups=[])
    put(index, "staff", "zebra", X, groups=["staff", "board"])
    put(index, "board", "zebra", X, groups="board")

    def seen(*groups: str) -> set[str]:
        return set(documents(index.query(ask("zebra", groups=groups), X, "t")))

    assert seen() == {"open", "empty"}
    assert seen("guests") == {"open", "empty"}
    assert seen("staff") == {"open", "empty", "staff"}
    assert seen("guests", "board") == {"open", "empty", "staff", "board"}


@pytest.mark.parametrize("groups", [5, [1], [""], {"a": 1}, True])
def test_groups_that_say_nothing_clear_are_refused_not_shown_to_all(
    index: Embedded, groups: Any
) -> None:
    with pytest.raises(InvalidRequest, match="groups"):
        put(index, "odd", "zebra", X, groups=groups)
    assert index.count() == 0


def test_where_compares_values_of_the_same_kind_only(index: Embedded) -> None:
    put(index, "a", "zebra", X, flag=True, n=1, code="1", tags=["red", "blue"])
    put(index, "b", "zebra", X, flag=False, n=0, code="0", tags=["green"])
    put(index, "c", "zebra", X, flag=1, n="1", **{"odd key.[]": "ü"})

    def seen(**where: Any) -> list[str]:
        return sorted(documents(index.query(ask("zebra", where=where), X, "t")))

    assert seen(flag=True) == ["a"]
    assert seen(flag=False) == ["b"]
    assert seen(flag=1) == ["c"]
    assert seen(n=1) == ["a"]
    assert seen(tags="blue") == ["a"]
    assert seen(n=1, code="1") == ["a"]
    assert seen(n=1, code="0") == []
    assert seen(**{"odd key.[]": "ü"}) == ["c"]
    assert seen(tenant="t") == []


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


def test_deleting_removes_the_document_of_that_tenant_alone(index: Embedded) -> None:
    for tenant in ("t", "u"):
        put(index, "d", "zebra", X, tenant=tenant)
        put(index, "e", "zebra", X, tenant=tenant)
    index.delete("t", "d")
    index.delete("t", "never there")
    assert documents(index.query(ask("zebra"), X, "t")) == ["e"]
    assert sorted(documents(index.query(ask("zebra"), X, "u"))) == ["d", "e"]


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
