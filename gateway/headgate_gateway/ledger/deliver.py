"""From journal to store: parse lines, write them in one transaction, set aside what cannot be."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from headgate_core.errors import StoreError
from headgate_core.records import JournalLine
from headgate_core.store import Store
from headgate_core.store.calls import write_batch

log = logging.getLogger("headgate.journal")

REJECTED = "rejected.jsonl"
"""Beside the journals: lines that the store refuses for what they say, kept for a person."""

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


def parse(lines: Iterable[bytes]) -> tuple[list[JournalLine], int]:
    """The lines that are whole, and how many are torn (cut by a crash or a full disk)."""
    whole: list[JournalLine] = []
    torn = 0
    for line in lines:
        try:
            whole.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            torn += 1
    if torn:
        log.warning("%d torn line(s) in a journal were skipped: their writing was cut off", torn)
    return whole, torn


def deliver(store: Store, lines: Sequence[JournalLine], folder: Path) -> int:
    """Commit ``lines``; returns how many were refused for good and kept in ``folder``/REJECTED.

    Raises ``StoreError`` when the store is away: then nothing of ``lines`` need have been written,
    and delivering them again is harmless.
    """
    if not lines:
        return 0
    try:
        with store.begin() as db:
            write_batch(db, lines)
        return 0
    except _MALFORMED as error:
        reason: Exception = error
    except StoreError as error:
        if not _refused(error):
            raise
        reason = error
    if len(lines) == 1:
        _set_aside(lines[0], folder, reason)
        return 1
    half = len(lines) // 2
    return deliver(store, lines[:half], folder) + deliver(store, lines[half:], folder)


def _refused(error: StoreError) -> bool:
    """Whether the store refused the values, as opposed to being unable to take any."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError):
        return isinstance(cause, DataError | IntegrityError)
    return isinstance(cause, StatementError)


def _set_aside(line: JournalLine, folder: Path, reason: Exception) -> None:
    path = folder / REJECTED
    log.error("the store refuses a journal line, which is kept in %s: %r", path, reason)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, orjson.dumps(line) + b"\n")
    finally:
        os.close(fd)
