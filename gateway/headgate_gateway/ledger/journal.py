"""The journal of one process: what happened is on its file before anybody is told.

One line is one ``write`` of JSON, so it outlives the process from the moment ``append`` returns.
The writer moves lines to the store; what a dead process left behind, ``recover`` moves.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import orjson

from headgate_core.errors import StoreError
from headgate_core.ids import uuid7
from headgate_core.records import JournalLine
from headgate_gateway.ledger import segments
from headgate_gateway.ledger.open_attempts import OpenAttempts

log = logging.getLogger("headgate.journal")

SEGMENT_BYTES = 8 << 20
"""A new file is begun once the present one is as long as this."""


@dataclass(slots=True)
class Segment:
    """One file of this process. ``base`` is how many bytes the files before it have had."""

    path: Path
    fd: int
    base: int
    size: int = 0
    """Bytes up to the end of the last whole line."""


class Journal:
    """The append-only journal of this process under ``data_dir``/journal.

    Raises ``StoreError`` from the constructor when the folder cannot be written.
    """

    def __init__(self, data_dir: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = segments.folder(data_dir)
        self._name = uuid7()
        self._number = 0
        self._segment_bytes = segment_bytes
        self._rotate_at = segment_bytes
        self._lock = Lock()
        self._open = OpenAttempts()
        self._torn = 0
        self._segments: deque[Segment] = deque()
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self._segments.append(self._new(base=0))
        except OSError as error:
            raise StoreError(f"The journal {self.folder} cannot be written: {error}.") from error

    def append(self, line: JournalLine) -> None:
        """Write one line; on return it survives the process. Takes microseconds, never waits.

        Raises ``StoreError`` when the line could not be written whole; then nothing of it stands.
        """
        if line["t"] == "scores" and "scored_unix_ns" not in line:
            line = {**line, "scored_unix_ns": time.time_ns()}
        try:
            data = orjson.dumps(line) + b"\n"
        except TypeError as error:
            raise StoreError(f"A line for the journal is not plain JSON: {error}.") from error
        with self._lock:
            self._write(self._segments[-1], data)
            self._open.follow(line)
            if self._segments[-1].size >= self._rotate_at:
                self._rotate()

    @property
    def end(self) -> int:
        """How many bytes have been appended in this process's life, over all its files."""
        last = self._segments[-1]
        return last.base + last.size

    @property
    def first(self) -> Segment:
        """The oldest file that is still there."""
        return self._segments[0]

    @property
    def in_flight(self) -> int:
        """How many calls (and attempts without a call) have begun and are not settled."""
        return len(self._open)

    def drop_first(self) -> bool:
        """Delete the oldest file, whose lines are stored; False when it is the present one."""
        with self._lock:
            if len(self._segments) == 1:
                return False
            segment = self._segments.popleft()
        _delete(segment)
        return True

    def close(self, *, stored: bool) -> None:
        """Let go of the files; ``stored`` (all lines are in the store) deletes them.

        Files with anything that is still in flight stay for recovery even then.
        """
        with self._lock:
            for segment in self._segments:
                if stored and not len(self._open):
                    _delete(segment)
                else:
                    os.close(segment.fd)
            self._segments = deque(Segment(s.path, -1, s.base, s.size) for s in self._segments)

    def _new(self, base: int) -> Segment:
        path = segments.segment_path(self.folder, self._name, self._number + 1)
        fd = segments.create(path)
        self._number += 1
        return Segment(path, fd, base)

    def _write(self, segment: Segment, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        try:
            written = os.write(segment.fd, data)
        except OSError as error:
            raise StoreError(f"The journal {segment.path} cannot be written: {error}.") from error
        if written == len(data):
            segment.size += self._torn + written
            self._torn = 0
            return
        self._undo(segment, written)
        raise StoreError(
            f"The journal {segment.path} took {written} of {len(data)} bytes: is the disk full?"
        )

    def _undo(self, segment: Segment, written: int) -> None:
        try:
            os.ftruncate(segment.fd, segment.size + self._torn)
        except OSError:
            # Readers skip a torn line, provided that the next one does not continue it.
            self._torn += written

    def _rotate(self) -> None:
        old = self._segments[-1]
        try:
            new = self._new(base=old.base + old.size)
        except OSError as error:
            log.warning("journal %s goes on over its length: %s", old.path, error)
            self._rotate_at = old.size + self._segment_bytes
            return
        torn, self._torn = self._torn, 0
        try:
            for line in self._open.lines():
                self._write(new, orjson.dumps(line) + b"\n")
        except StoreError as error:
            log.warning("journal %s goes on over its length: %s", old.path, error)
            self._torn = torn
            _delete(new)
            self._rotate_at = old.size + self._segment_bytes
            return
        self._segments.append(new)
        self._rotate_at = max(self._segment_bytes, 2 * new.size)


def _delete(segment: Segment) -> None:
    segment.path.unlink(missing_ok=True)
    os.close(segment.fd)
