"""Who sees what in the embedded index: tenants, groups, and conditions on metadata."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from index_world import X, Y, ask, chunk, documents, put

from headgate_core.errors import InvalidRequest
from headgate_rag.indexes.embedded import Embedded

pytest.importorskip("qdrant_edge")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Embedded]:
    index = Embedded()
    index.open(tmp_path / "points", 3)
    yield index
    index.close()


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


def test_deleting_removes_the_document_of_that_tenant_alone(index: Embedded) -> None:
    for tenant in ("t", "u"):
        put(index, "d", "zebra", X, tenant=tenant)
        put(index, "e", "zebra", X, tenant=tenant)
    index.delete("t", "d")
    index.delete("t", "never there")
    assert documents(index.query(ask("zebra"), X, "t")) == ["e"]
    assert sorted(documents(index.query(ask("zebra"), X, "u"))) == ["d", "e"]
