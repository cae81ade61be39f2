"""What a killed process left in its journal is in the store after the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_records import attempt, attempt_line, begin_line, call, head_of, score, scores_line
from sqlalchemy import select

from headgate_core.errors import StoreError
from headgate_core.records import CallLine, JournalLine
from headgate_core.store import Store
from headgate_core.store.calls import get_call, list_calls
from headgate_core.store.tables import attempts, calls, scores
from headgate_gateway.ledger import recover as recovery
from headgate_gateway.ledger import segments
from headgate_gateway.ledger.journal import Journal
from headgate_gateway.ledger.recover import recover

VICTIM = """
import os, signal, sys
from pathlib import Path
from ledger_records import attempt, begin_line, call, head_of
from headgate_gateway.ledger.journal import Journal

journal = Journal(Path(sys.argv[1]))
done = call()
journal.append(begin_line(done["attempts"][0], head_of(done), reserved_pico=500))
journal.append({"t": "call", "call": done})
cut = call()
journal.append(begin_line(cut["attempts"][0], head_of(cut), reserved_pico=700, input_tokens=9))
print(done["call_id"], cut["call_id"], flush=True)
if sys.argv[2] == "in a line":
    real = os.write
    def half(fd, data):
        real(fd, data[: len(data) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    os.write = half
    journal.append({"t": "call", "call": cut})
sys.stdin.read()
"""


def open_store(folder: Path) -> Store:
    return Store.open(f"sqlite:///{folder / 'headgate.db'}")


def leave(data_dir: Path, lines: list[JournalLine], segment_bytes: int = 8 << 20) -> None:
    """A journal as a process leaves it that died after writing ``lines``."""
    journal = Journal(data_dir, segment_bytes=segment_bytes)
    for line in lines:
        journal.append(line)
    journal.close(stored=False)


def rows(store: Store) -> list[list[Any]]:
    with store.begin() as db:
        return [
            sorted(map(tuple, db.execute(select(table)).all()), key=repr)
            for table in (calls, attempts, scores)
        ]


@pytest.mark.parametrize("moment", ["between lines", "in a line"])
def test_a_process_killed_between_and_in_the_middle_of_calls_loses_none(
    tmp_path: Path, moment: str
) -> None:
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(tmp_path), moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[1] / "support")},
    )
    assert victim.stdout is not None
    done, cut = victim.stdout.readline().split()
    store = open_store(tmp_path)
    if moment == "between lines":
        assert recover(tmp_path, store).journals == 0, "a living process's journal was touched"
        victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    victim.communicate()

    found = recover(tmp_path, store)

    assert (found.interrupted, found.estimated) == (1, 1)
    assert found.torn == (1 if moment == "in a line" else 0)
    assert get_call(store, done).record["outcome"] == "ok"
    record = get_call(store, cut).record
    assert (record["outcome"], record["cost_pico"]) == ("interrupted", 700)
    assert record["attempts"][0]["outcome"] == "estimated"
    assert record["attempts"][0]["usage"] is not None
    assert record["attempts"][0]["usage"]["input_tokens"] == 9
    assert list((tmp_path / "journal").glob("*.jsonl")) == []
    assert recover(tmp_path, store).journals == 0
    store.close()


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


def test_an_attempt_without_a_reservation_has_no_known_cost(tmp_path: Path) -> None:
    open_call = call()
    leave(tmp_path, [begin_line(open_call["attempts"][0], head_of(open_call))])
    store = open_store(tmp_path)
    recover(tmp_path, store)
    record = get_call(store, open_call["call_id"]).record
    assert (record["cost_pico"], record["unpriced"]) == (0, True)
    assert record["attempts"][0]["cost_pico"] is None
    store.close()


def test_an_attempt_that_was_settled_keeps_its_outcome_in_an_interrupted_call(
    tmp_path: Path,
) -> None:
    open_call = call()
    failed = attempt(open_call["call_id"], outcome="error", cost_pico=3)
    running = attempt(open_call["call_id"])
    head = head_of(open_call)
    leave(
        tmp_path,
        [
            begin_line(failed, head, reserved_pico=500),
            attempt_line(failed),
            begin_line(running, head, reserved_pico=700),
        ],
    )
    store = open_store(tmp_path)
    found = recover(tmp_path, store)
    record = get_call(store, open_call["call_id"]).record
    assert [a["outcome"] for a in record["attempts"]] == ["error", "estimated"]
    assert (record["cost_pico"], found.estimated) == (703, 1)
    store.close()


def test_an_attempt_that_outlives_its_call_is_booked_and_the_call_stands(tmp_path: Path) -> None:
    record = call()
    late = attempt(record["call_id"], why="hedge")
    lines: list[JournalLine] = [
        begin_line(record["attempts"][0], head_of(record), reserved_pico=500),
        begin_line(late, head_of(record), reserved_pico=900),
        CallLine(t="call", call=record),
        *(CallLine(t="call", call=call()) for _ in range(4)),
    ]
    leave(tmp_path, lines, segment_bytes=3000)
    store = open_store(tmp_path)
    assert recover(tmp_path, store).estimated == 1
    assert get_call(store, record["call_id"]).record["outcome"] == "ok"
    with store.begin() as db:
        booked = dict(map(tuple, db.execute(select(attempts.c.attempt_id, attempts.c.cost_pico))))
    assert booked[late["attempt_id"]] == 900
    store.close()


def test_a_lone_attempt_makes_no_call(tmp_path: Path) -> None:
    judge = attempt("", purpose="judge")
    leave(tmp_path, [begin_line(judge, None, reserved_pico=5)])
    store = open_store(tmp_path)
    found = recover(tmp_path, store)
    assert (found.estimated, found.interrupted) == (1, 0)
    assert list_calls(store) == []
    store.close()


def test_processes_that_recover_at_once_book_everything_once(tmp_path: Path) -> None:
    for _ in range(6):
        leave(tmp_path, [CallLine(t="call", call=call()) for _ in range(20)])
    stores = [open_store(tmp_path) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda store: recover(tmp_path, store), stores))
    assert sum(one.journals for one in found) == 6
    assert len(list_calls(stores[0], limit=500)) == 120
    for store in stores:
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


def test_no_journal_folder_is_nothing_to_recover(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert recover(tmp_path / "elsewhere", store).journals == 0
    assert not os.path.exists(tmp_path / "elsewhere")
    store.close()
