"""What a killed process left in its journal is in the store after the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ledger_records import attempt, attempt_line, begin_line, call, head_of
from left_journal import leave, open_store
from sqlalchemy import select

from headgate_core.records import CallLine, JournalLine
from headgate_core.store.calls import get_call, list_calls
from headgate_core.store.tables import attempts
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


def test_an_attempt_that_was_withdrawn_is_none(tmp_path: Path) -> None:
    record = call()
    gone = attempt(record["call_id"])
    lines: list[JournalLine] = [
        begin_line(gone, head_of(record), reserved_pico=900),
        {"t": "withdrawn", "call_id": record["call_id"], "attempt_id": gone["attempt_id"]},
        begin_line(record["attempts"][0], head_of(record), reserved_pico=500),
        CallLine(t="call", call=record),
    ]
    leave(tmp_path, lines)
    store = open_store(tmp_path)
    found = recover(tmp_path, store)
    assert (found.estimated, found.interrupted) == (0, 0)
    with store.begin() as db:
        booked = list(db.execute(select(attempts.c.attempt_id)).scalars())
    assert booked == [record["attempts"][0]["attempt_id"]]
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


def test_no_journal_folder_is_nothing_to_recover(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert recover(tmp_path / "elsewhere", store).journals == 0
    assert not os.path.exists(tmp_path / "elsewhere")
    store.close()
