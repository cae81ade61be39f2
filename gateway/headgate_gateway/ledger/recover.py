"""At start: what dead processes left in their journals goes to the store."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from headgate_core.errors import StoreError
from headgate_core.records import AttemptLine, BeginLine, JournalLine
from headgate_core.store import Store
from headgate_gateway.ledger import segments
from headgate_gateway.ledger.deliver import MALFORMED, Parsed, Refused, deliver, parse, set_aside
from headgate_gateway.ledger.interrupted import settle
from headgate_gateway.ledger.open_attempts import OpenAttempts

log = logging.getLogger("headgate.journal")

BATCH_LINES = 500


@dataclass(slots=True)
class Recovered:
    """What a recovery found."""

    journals: int = 0
    lines: int = 0
    torn: int = 0
    estimated: int = 0
    """Attempts begun and never settled, booked at what was reserved for them."""
    interrupted: int = 0
    """Calls that never got their record."""
    rejected: int = 0


def recover(data_dir: Path, store: Store) -> Recovered:
    """Replay the journals whose process is gone, then delete them. Blocks: call it in a thread.

    Safe in several processes at once and after a recovery that was itself cut off: all is written
    by id. Raises ``StoreError`` when the store or the folder fails; the journals stay then.
    """
    total = Recovered()
    where = segments.folder(data_dir)
    if not where.is_dir():
        return total
    try:
        with _one_at_a_time(where):
            for paths in segments.groups(where):
                _replay(paths, store, total)
    except OSError as error:
        raise StoreError(f"The journals in {where} cannot be read: {error}.") from error
    if total.journals:
        log.info(
            "recovered %d journals of processes that are gone: %d lines, %d calls interrupted, "
            "%d attempts estimated, %d torn and %d refused lines",
            total.journals,
            total.lines,
            total.interrupted,
            total.estimated,
            total.torn,
            total.rejected,
        )
    return total


def _replay(paths: list[Path], store: Store, total: Recovered) -> None:
    with ExitStack() as held:
        fds = _locked(paths, held)
        if fds is None:
            return
        total.journals += 1
        unsettled = OpenAttempts()
        refused: list[Refused] = []
        for fd in fds:
            for found in _batches(fd, total):
                delivered = deliver(store, found.lines)
                refused += found.refused + delivered
                refused += _follow(unsettled, found.lines, delivered)
        refused += _settle(unsettled, store, total)
        # Not earlier: a recovery that is cut off begins again, and would keep them twice.
        set_aside(refused, paths[0].parent)
        total.rejected += len(refused)
        for path in paths:
            path.unlink()


def _follow(
    unsettled: OpenAttempts, lines: list[JournalLine], refused: list[Refused]
) -> list[Refused]:
    """Take what was delivered into account; returns lines that turn out to be malformed."""
    strange = []
    gone = {id(one.line) for one in refused}
    for line in lines:
        if id(line) in gone:
            continue
        try:
            unsettled.follow(line)
        except MALFORMED as error:
            strange.append(Refused(line, repr(error)))
    return strange


def _locked(paths: list[Path], held: ExitStack) -> list[int] | None:
    """All files of one journal, open and locked; None when its process lives or just ended."""
    fds = []
    for path in paths:
        try:
            fds.append(os.open(path, os.O_RDWR))
        except FileNotFoundError:
            return None
        held.callback(os.close, fds[-1])
        if not segments.lock(fds[-1]):
            return None
    # A file that was added since the listing may settle what these ones leave open.
    return fds if segments.siblings(paths[0]) == paths else None


def _batches(fd: int, total: Recovered) -> Iterator[Parsed]:
    offset = 0
    while (found := segments.read_lines(fd, offset, BATCH_LINES)).lines:
        offset = found.end
        parsed = parse(found.lines)
        total.lines += len(parsed.lines)
        total.torn += parsed.torn
        yield parsed
    if os.fstat(fd).st_size > offset:
        log.warning("the last line of a journal is torn: its process died while writing it")
        total.torn += 1


def _settle(unsettled: OpenAttempts, store: Store, total: Recovered) -> list[Refused]:
    """Write what is missing of open calls; returns the lines that nothing can be made of."""
    refused: list[Refused] = []
    for group in unsettled.groups():
        lines, strange = _settled(group)
        for line in lines:
            if line["t"] == "attempt":
                total.estimated += 1
            else:
                total.interrupted += 1
        refused += strange + deliver(store, lines)
    return refused


def _settled(
    group: list[list[BeginLine | AttemptLine]],
) -> tuple[list[JournalLine], list[Refused]]:
    try:
        return settle(group), []
    except MALFORMED as error:
        return [], [Refused(line, repr(error)) for lines in group for line in lines]


@contextmanager
def _one_at_a_time(where: Path) -> Iterator[None]:
    fd = os.open(where / "recover.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
