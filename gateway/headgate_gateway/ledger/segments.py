"""Journal files on disk: their names, their locks, and reading whole lines out of them.

A process writes ``JOURNAL/<uuid>-<number>.jsonl``, one number after the other. Each file stays
locked (``flock``) until it is deleted or its process ends, so a lock held means a living writer.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

READ_BYTES = 1 << 20
"""How much of a file is in memory at once, unless a single line is longer."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a file, without their newlines; ``end`` is the offset after the last one."""

    lines: list[bytes]
    end: int


def folder(data_dir: Path) -> Path:
    """Where the journals of a data directory are."""
    return data_dir / "journal"


def segment_path(where: Path, name: str, number: int) -> Path:
    """The file of the ``number``-th segment (from 1) of the journal ``name``."""
    return where / f"{name}-{number:06d}.jsonl"


def create(path: Path) -> int:
    """A new, empty, locked file for appending; it has its name only once it is locked.

    Else a recovery could take it for a dead process's between the two.
    """
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    lock(fd)
    fresh.rename(path)
    return fd


def lock(fd: int) -> bool:
    """Take the lock of an open segment without waiting; False when another holder has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def groups(where: Path) -> Iterator[list[Path]]:
    """The segments of each journal there is, oldest journal and lowest number first."""
    paths = sorted(where.glob("*-*.jsonl"))
    for _, group in groupby(paths, key=lambda path: path.name.rpartition("-")[0]):
        yield list(group)


def siblings(path: Path) -> list[Path]:
    """All segments that the journal of ``path`` has now, lowest number first."""
    return sorted(path.parent.glob(path.name.rpartition("-")[0] + "-*.jsonl"))


def read_lines(fd: int, start: int, most: int) -> Lines:
    """At most ``most`` whole lines from offset ``start``; none when only a torn one is there."""
    size = READ_BYTES
    while True:
        data = os.pread(fd, size, start)
        last = data.rfind(b"\n")
        if last >= 0:
            return _cut(data[:last], start, most)
        if len(data) < size:
            return Lines([], start)
        size *= 2


def _cut(data: bytes, start: int, most: int) -> Lines:
    lines = data.split(b"\n", most)
    if len(lines) > most:
        lines.pop()
    return Lines(lines, start + sum(map(len, lines)) + len(lines))
