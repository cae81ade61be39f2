"""The writer moves the journal to the store, whatever the store does meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from ledger_records import attempt, attempt_line, begin_line, call, call_line, head_of
from sqlalchemy.exc import OperationalError

from headgate_core.errors import StoreError
from headgate_core.records import JournalLine
from headgate_core.store import Store
from headgate_core.store.calls import get_call, list_calls, write_batch
from headgate_gateway.ledger import deliver, writer
from headgate_gateway.ledger.journal import Journal
from headgate_gateway.ledger.writer import Writer


def with_writer(
    tmp_path: Path,
    work: Callable[[Journal, Writer, Store], Awaitable[None]],
    segment_bytes: int = 8 << 20,
) -> None:
    async def run() -> None:
        store = Store.open(f"sqlite:///{tmp_path / 'headgate.db'}")
        journal = Journal(tmp_path, segment_bytes=segment_bytes)
        moving = Writer(journal, lambda: store)
        moving.start()
        try:
            await work(journal, moving, store)
        finally:
            await moving.close()
            store.close()

    asyncio.run(run())


def test_after_a_flush_every_call_is_in_the_store_once(tmp_path: Path) -> None:
    async def work(journal: Journal, moving: Writer, store: Store) -> None:
        lines = [call_line() for _ in range(1200)]
        for line in lines:
            journal.append(line)
        await moving.flush()
        assert moving.waiting_bytes == 0
        stored = {c.call_id for c in list_calls(store, limit=5000)}
        assert stored == {line["call"]["call_id"] for line in lines}

    with_writer(tmp_path, work)
    assert list((tmp_path / "journal").iterdir()) == []


def test_files_that_are_stored_are_deleted_while_the_process_lives(tmp_path: Path) -> None:
    async def work(journal: Journal, moving: Writer, store: Store) -> None:
        for _ in range(200):
            journal.append(call_line())
        await moving.flush()
        journal.append(call_line())
        await moving.flush()
        assert len(list((tmp_path / "journal").glob("*.jsonl"))) <= 2
        assert len(list_calls(store, limit=500)) == 201

    with_writer(tmp_path, work, segment_bytes=10_000)


def test_a_store_that_is_away_loses_nothing_and_is_complained_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "EVERY_S", 0.005)
    away = asyncio.Event()

    def failing(db: object, lines: list[JournalLine]) -> None:
        if away.is_set():
            raise OperationalError("insert", None, Exception("the disk is gone"))
        write_batch(db, lines)  # type: ignore[arg-type]

    monkeypatch.setattr(deliver, "write_batch", failing)

    async def work(journal: Journal, moving: Writer, store: Store) -> None:
        away.set()
        lines = [call_line() for _ in range(3)]
        for line in lines:
            journal.append(line)
        with pytest.raises(StoreError, match=r"the disk is gone.*Nothing is lost"):
            await moving.flush(timeout_s=0.3)
        assert list_calls(store) == []
        away.clear()
        await moving.flush()
        assert len(list_calls(store)) == 3
        assert moving.failure == ""

    with caplog.at_level(logging.WARNING, "headgate.journal"):
        with_writer(tmp_path, work)
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


def test_a_store_that_cannot_be_opened_at_first_is_opened_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "EVERY_S", 0.005)
    tries = []

    def opening() -> Store:
        tries.append(1)
        if len(tries) < 3:
            raise StoreError("not yet")
        return Store.open(f"sqlite:///{tmp_path / 'headgate.db'}")

    async def run() -> None:
        journal = Journal(tmp_path)
        moving = Writer(journal, opening)
        moving.start()
        journal.append(call_line())
        await moving.flush()
        await moving.close()

    asyncio.run(run())
    store = opening()
    assert len(list_calls(store)) == 1
    store.close()


def test_a_fault_that_nobody_thought_of_does_not_end_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "EVERY_S", 0.005)
    faulty = True

    def failing(db: object, lines: list[JournalLine]) -> None:
        if faulty:
            raise ZeroDivisionError("a fault of ours")
        write_batch(db, lines)  # type: ignore[arg-type]

    monkeypatch.setattr(deliver, "write_batch", failing)

    async def work(journal: Journal, moving: Writer, store: Store) -> None:
        nonlocal faulty
        journal.append(call_line())
        with pytest.raises(StoreError, match="a fault of ours"):
            await moving.flush(timeout_s=0.3)
        assert moving.failure == "ZeroDivisionError: a fault of ours"
        faulty = False
        await moving.flush()
        assert (moving.failure, len(list_calls(store))) == ("", 1)

    with caplog.at_level(logging.WARNING, "headgate.journal"):
        with_writer(tmp_path, work)
    (told,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert told.exc_info is not None


def test_a_line_that_the_store_refuses_is_set_aside_and_holds_up_no_other(tmp_path: Path) -> None:
    bad = call_line(status="not a number", duration_ms=None)

    async def work(journal: Journal, moving: Writer, store: Store) -> None:
        good = [call_line() for _ in range(5)]
        for line in [*good[:2], bad, *good[2:]]:
            journal.append(line)
        await moving.flush()
        assert len(list_calls(store)) == 5
        assert moving.rejected == 1

    with_writer(tmp_path, work)
    kept = (tmp_path / "journal" / deliver.REJECTED).read_text()
    assert bad["call"]["call_id"] in kept


def test_an_attempt_settled_before_and_within_its_call_is_one_row(tmp_path: Path) -> None:
    async def work(journal: Journal, moving: Writer, store: Store) -> None:
        record = call()
        one = attempt(record["call_id"])
        journal.append(begin_line(one, head_of(record)))
        journal.append(attempt_line(one))
        journal.append({"t": "call", "call": {**record, "attempts": [one]}})
        await moving.flush()
        assert get_call(store, record["call_id"]).record["attempts"] == [one]

    with_writer(tmp_path, work)
