"""Calls in the store: written exactly once, listed by page, found by the start of their id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ledger_records import STARTED, attempt, attempt_line, call_line, score, scores_line
from sqlalchemy import func, select

from headgate_core.errors import InvalidRequest, NotFound
from headgate_core.records import JournalLine
from headgate_core.store import Store
from headgate_core.store.calls import Filter, get_call, list_calls, write_batch
from headgate_core.store.tables import attempts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    found = Store.open(f"sqlite:///{tmp_path / 'headgate.db'}")
    yield found
    found.close()


def write(store: Store, *lines: JournalLine) -> None:
    with store.begin() as db:
        write_batch(db, lines)


def test_a_call_comes_back_as_it_was_written(store: Store) -> None:
    content = {"messages": [{"role": "user", "content": "héllo"}], "answer": "hi", "passages": []}
    line = call_line(content=content)
    write(store, line)
    assert get_call(store, line["call"]["call_id"]).record == line["call"]


def test_writing_again_changes_and_doubles_nothing(store: Store) -> None:
    line = call_line()
    other = call_line(call_id=line["call"]["call_id"], outcome="error")
    late = attempt_line(attempt(line["call"]["call_id"]))
    for _ in range(3):
        write(store, line, late, other)
    assert [c.outcome for c in list_calls(store)] == ["ok"]
    with store.begin() as db:
        ids = select(attempts.c.attempt_id)
        assert len(set(db.execute(ids).scalars())) == 3  # two of the calls' and the late one
        assert db.execute(select(func.count()).select_from(attempts)).scalar() == 3


def test_the_later_score_stands_in_whatever_order_they_arrive(store: Store) -> None:
    line = call_line()
    call_id = line["call"]["call_id"]
    write(store, line, scores_line(call_id, 2, score("helpful", 0.75)))
    write(store, scores_line(call_id, 1, score("helpful", 0.25)))
    write(store, scores_line(call_id, 3, score("cost.usd", None, "unpriced")))
    assert get_call(store, call_id).scores == [
        score("cost.usd", None, "unpriced"),
        score("helpful", 0.75),
    ]


def test_pages_follow_each_other_without_gap_or_repeat(store: Store) -> None:
    lines = [call_line(started_unix_ns=STARTED + n // 3) for n in range(10)]
    write(store, *lines)
    seen: list[str] = []
    while page := list_calls(store, limit=3, before=seen[-1] if seen else ""):
        seen += [c.call_id for c in page]
    newest_first = sorted(
        ((line["call"]["started_unix_ns"], line["call"]["call_id"]) for line in lines), reverse=True
    )
    assert seen == [call_id for _, call_id in newest_first]


def test_a_list_is_restricted_by_route_and_outcome(store: Store) -> None:
    write(store, call_line(route="a"), call_line(route="b"), call_line(route="b", outcome="error"))
    found = list_calls(store, where=Filter(route="b", outcome="error"))
    assert [(c.route, c.outcome) for c in found] == [("b", "error")]


def test_a_call_is_found_by_the_start_of_its_id_unless_several_begin_so(store: Store) -> None:
    write(store, *(call_line(call_id=f"018f0000-0000-7000-8000-00000000000{n}") for n in "12"))
    assert get_call(store, "018f0000-0000-7000-8000-000000000001").record["call_id"][-1] == "1"
    with pytest.raises(InvalidRequest, match="018f0000-0000-7000-8000-000000000002"):
        get_call(store, "018f")
    for unknown in ("0190", "%", "_18f", ""):
        with pytest.raises(NotFound, match="traces list"):
            get_call(store, unknown)


def test_texts_that_a_caller_chose_fit_their_columns_and_stay_whole_in_the_record(
    store: Store,
) -> None:
    line = call_line(route="r\0" + "x" * 5000)
    write(store, line)
    assert list_calls(store)[0].route == "r" + "x" * 199
    assert get_call(store, line["call"]["call_id"]).record["route"] == "r\0" + "x" * 5000
