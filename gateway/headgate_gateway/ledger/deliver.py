"""From journal to store: parse lines, write them in one transaction, set aside what cannot be."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from headgate_core.errors import StoreError
from headgate_core.records import JournalLine
from headgate_core.store import Store
from headgate_core.store.calls import write_batch

log = logging.getLogger("headgate.journal")

REJECTED = "rejected.jsonl"
"""Beside the journals: lines that the store refuses for what they say, kept for a person."""

MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What comes of a line whose members are missing or of another kind."""

KINDS = frozenset({"begin", "call", "attempt", "scores", "withdrawn"})


class Refused(NamedTuple):
    """A line that no store will ever take as it is, and why."""

    line: Any
    reason: str


class Parsed(NamedTuple):
    """Lines of a journal: those to deliver, how many are torn, and those that are none of ours."""

    lines: list[JournalLine]
    torn: int
    refused: list[Refused]


def parse(lines: Iterable[bytes]) -> Parsed:
    """Read lines; torn ones were cut by a crash or a full disk."""
    whole: list[JournalLine] = []
    refused: list[Refused] = []
    torn = 0
    for data in lines:
        try:
            line = orjson.loads(data)
        except orjson.JSONDecodeError:
            torn += 1
            continue
        kind = line.get("t") if isinstance(line, dict) else None
        if isinstance(kind, str) and kind in KINDS:
            whole.append(line)
        else:
            refused.append(Refused(line, "it is no line of a journal that this version knows"))
    if torn:
        log.warning("%d torn line(s) in a journal were skipped: their writing was cut off", torn)
    return Parsed(whole, torn, refused)


def deliver(store: Store, lines: Sequence[JournalLine]) -> list[Refused]:
    """Commit ``lines``; returns those that were refused for good, for ``set_aside``.

    Raises ``StoreError`` when the store is away: then nothing of ``lines`` need have been written,
    and delivering them again is harmless.
    """
    if not lines:
        return []
    try:
        with store.begin() as db:
            write_batch(db, lines)
        return []
    except MALFORMED as error:
        reason: Exception = error
    except StoreError as error:
        if not _refused(error):
            raise
        reason = error
    if len(lines) == 1:
        return [Refused(lines[0], repr(reason))]
    half = len(lines) // 2
    return deliver(store, lines[:half]) + deliver(store, lines[half:])


def set_aside(refused: Sequence[Refused], folder: Path) -> None:
    """Keep refused lines in ``folder``/REJECTED, for a person; call it once for each line."""
    path = folder / REJECTED
    for one in refused:
        log.error("a journal line cannot be stored and is kept in %s: %s", path, one.reason)
    if not refused:
        return
    data = b"".join(orjson.dumps(one.line) + b"\n" for one in refused)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _refused(error: StoreError) -> bool:
    """Whether the store refused the values, as opposed to being unable to take any."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError):
        return isinstance(cause, DataError | IntegrityError)
    return isinstance(cause, StatementError)
