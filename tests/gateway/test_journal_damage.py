"""A journal that is torn, cut off, foreign or changing costs what is damaged and no more."""

from __future__ import annotations

import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_records import attempt, attempt_line, begin_line, call, head_of, score, scores_line
from left_journal import leave, open_store, rows

from headgate_core.errors import StoreError
from headgate_core.records import CallLine, JournalLine
from headgate_core.store.calls import get_call, list_calls
from headgate_gateway.ledger import recover as recovery
from headgate_gateway.ledger import segments
from headgate_gateway.ledger.recover import recover


@pytest.mark.parametrize(
    "line",
    [
        *("[]", "null", "7", '"text"', "{}", '{"t": "begin"}', '{"t": "news"}', '{"t": []}'),
        *('{"t": "call", "call": []}', '{"t": "attempt", "attempt": {}}', '{"t": "scores"}'),
        '{"t": "begin", "attempt": {"attempt_id": "a"}, "call": null}',
        '{"t": "begin", "attempt": {"attempt_id": []}, "call": {"call_id": "c"}}',
        '{"t": "begin", "attempt": {"attempt_id": "a"}, "call": {"call_id": "c"}}',
    ],
)
def test_a_line_that_is_none_of_ours_is_set_aside_once_and_holds_up_no_start(
    tmp_path: Path, line: str
) -> None:
    good = call()
    leave(tmp_path, [CallLine(t="call", call=good)])
    (journal,) = (tmp_path / "journal").iterdir()
    journal.write_text(line + "\n" + journal.read_text())
    store = open_store(tmp_path)

    assert recover(tmp_path, store).rejected == 1
    assert recover(tmp_path, store).journals == 0

    assert get_call(store, good["call_id"]).record == good
    assert not journal.exists()
    kept = (tmp_path / "journal" / "rejected.jsonl").read_bytes()
    assert orjson.loads(kept) == orjson.loads(line)
    store.close()


def test_a_refused_line_is_kept_once_although_recovery_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, [CallLine(t="call", call=call())])
    (journal,) = (tmp_path / "journal").iterdir()
    journal.write_text("[]\n" + journal.read_text())
    store = open_store(tmp_path)

    def failing(*_: object) -> None:
        raise StoreError("the store went away")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "_settle", failing)
        with pytest.raises(StoreError, match="went away"):
            recover(tmp_path, store)
    recover(tmp_path, store)
    assert (tmp_path / "journal" / "rejected.jsonl").read_text() == "[]\n"
    store.close()


def test_a_recovery_that_is_cut_off_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_call = call()
    leave(
        tmp_path,
        [
            CallLine(t="call", call=call()),
            begin_line(open_call["attempts"][0], head_of(open_call), reserved_pico=1),
        ],
    )
    store = open_store(tmp_path)

    def failing(*_: object) -> None:
        raise StoreError("the store went away")

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "_settle", failing)
        with pytest.raises(StoreError, match="went away"):
            recover(tmp_path, store)
    assert recover(tmp_path, store).journals == 1
    assert sorted(c.outcome for c in list_calls(store)) == ["interrupted", "ok"]
    store.close()


@pytest.mark.parametrize("seen", [slice(0, 1), slice(0, 9)])
def test_a_journal_that_changes_while_it_is_looked_at_is_left_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: slice
) -> None:
    record = call()
    lines: list[JournalLine] = [
        begin_line(record["attempts"][0], head_of(record), reserved_pico=9),
        CallLine(t="call", call=record),
    ]
    leave(tmp_path, lines, segment_bytes=300)
    paths = sorted((tmp_path / "journal").iterdir())
    gone = paths[0].with_name(paths[0].name.replace("000001", "000009"))
    stale = [[*paths, gone][seen]]
    store = open_store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(segments, "groups", lambda _: iter(stale))
        assert recover(tmp_path, store).journals == 0
    assert recover(tmp_path, store).estimated == 0
    assert get_call(store, record["call_id"]).record["cost_pico"] == record["cost_pico"]
    store.close()


def some_lines() -> list[JournalLine]:
    first, second = call(), call(attempts=[])
    tried = attempt(second["call_id"])
    return [
        begin_line(first["attempts"][0], head_of(first), reserved_pico=1),
        begin_line(tried, head_of(second), reserved_pico=2),
        CallLine(t="call", call=first),
        attempt_line(tried),
        scores_line(first["call_id"], 5, score("a", 1.0)),
        scores_line(first["call_id"], 6, score("a", 2.0)),
        CallLine(t="call", call={**second, "attempts": [tried]}),
    ]


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(0, 6000), times=st.integers(1, 3), size=st.sampled_from([700, 8 << 20]))
def test_any_beginning_of_a_journal_replayed_any_number_of_times_gives_the_same_rows(
    cut: int, times: int, size: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        leave(folder, some_lines(), segment_bytes=size)
        left = [(path, path.read_bytes()) for path in sorted((folder / "journal").iterdir())]
        _cut_off(left, cut)
        store = open_store(folder)
        found = []
        for _ in range(times + 1):
            recover(folder, store)
            found.append(rows(store))
            for path, data in left:
                path.write_bytes(data)
        store.close()
    assert all(one == found[0] for one in found)


def _cut_off(files: list[tuple[Path, bytes]], at: int) -> None:
    """Keep the first ``at`` bytes of all files together, as a crash at that moment leaves them."""
    for n, (path, data) in enumerate(files):
        files[n] = (path, data[:at])
        at = max(0, at - len(data))
        path.write_bytes(files[n][1])


def test_a_torn_line_in_the_middle_costs_that_line_alone(tmp_path: Path) -> None:
    one, two = call(), call()
    leave(tmp_path, [CallLine(t="call", call=one)])
    path = next((tmp_path / "journal").glob("*.jsonl"))
    with path.open("ab") as file:
        file.write(b'{"t":"call","call":{"call_' + b"\n")
        file.write(orjson.dumps({"t": "call", "call": two}) + b"\n")
    store = open_store(tmp_path)
    found = recover(tmp_path, store)
    assert (found.torn, len(list_calls(store))) == (1, 2)
    store.close()
