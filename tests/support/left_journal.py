"""Journals as processes leave them that died, and the store that takes them up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from headgate_core.records import JournalLine
from headgate_core.store import Store
from headgate_core.store.tables import attempts, calls, scores
from headgate_gateway.ledger.journal import Journal


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
