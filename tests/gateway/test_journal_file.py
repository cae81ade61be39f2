"""The journal's files: one whole line a write, a full disk, files that follow each other."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from ledger_records import attempt, attempt_line, begin_line, call, call_line, head_of, score

from headgate_core.errors import StoreError
from headgate_core.records import CallLine
from headgate_gateway.ledger import segments
from headgate_gateway.ledger.journal import Journal


def files(data_dir: Path) -> list[Path]:
    return [path for group in segments.groups(data_dir / "journal") for path in group]


def lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_line_is_on_the_file_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    line = call_line()
    journal.append(line)
    assert lines(journal.first.path) == [line]
    assert journal.end == journal.first.path.stat().st_size
    journal.close(stored=False)


def test_scores_get_the_time_at_which_they_were_written_down(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append({"t": "scores", "call_id": "c", "scores": [score("cost.usd", 0.5)]})
    assert lines(journal.first.path)[0]["scored_unix_ns"] > 1_600_000_000_000_000_000
    journal.close(stored=False)


def full_disk(keep: int) -> Callable[[int, bytes], int]:
    """An ``os.write`` that takes ``keep`` bytes and then has no room."""

    def write(fd: int, data: bytes) -> int:
        if keep == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[:keep])

    real = os.write
    return write


@pytest.mark.parametrize("keep", [0, 1, 40])
@pytest.mark.parametrize("truncates", [True, False])
def test_a_full_disk_is_an_error_and_costs_no_other_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int, truncates: bool
) -> None:
    journal = Journal(tmp_path)
    before, lost, after = call_line(), call_line(), call_line()
    journal.append(before)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk(keep))
        if not truncates:
            patch.setattr(os, "ftruncate", lambda fd, size: 1 / 0 if fd < 0 else _refuse())
        with pytest.raises(StoreError, match=str(tmp_path)):
            journal.append(lost)
    journal.append(after)
    found = segments.read_lines(journal.first.fd, 0, 100)
    whole = [orjson.loads(line) for line in found.lines if line.endswith(b"}")]
    assert whole == [before, after]
    assert found.end == journal.end
    journal.close(stored=False)


def _refuse() -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(StoreError, match="journal"):
        Journal(tmp_path)


def test_a_value_that_is_no_json_is_an_error_and_leaves_no_trace(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(StoreError, match="not plain JSON"):
        journal.append(call_line(tags={1, 2}))
    assert journal.end == 0
    journal.close(stored=False)


def test_a_new_file_takes_open_attempts_along(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=4000)
    slow = call(attempts=[])
    failed, running = attempt(slow["call_id"]), attempt(slow["call_id"])
    journal.append(begin_line(failed, head_of(slow)))
    journal.append(attempt_line(failed))
    journal.append(begin_line(running, head_of(slow)))
    while len(files(tmp_path)) == 1:
        journal.append(call_line())
    taken = lines(files(tmp_path)[1])
    assert [line["t"] for line in taken] == ["begin", "attempt", "begin"]
    assert journal.in_flight == 1
    journal.append(CallLine(t="call", call={**slow, "attempts": [failed, running]}))
    assert journal.in_flight == 0
    journal.close(stored=False)


def test_files_go_once_stored_and_only_then(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1000)
    for _ in range(3):
        journal.append(call_line())
    assert len(files(tmp_path)) == 4
    while journal.drop_first():
        pass
    assert files(tmp_path) == [journal.first.path]
    journal.close(stored=True)
    assert files(tmp_path) == []


def test_a_journal_with_a_call_in_flight_stays_for_recovery(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    open_call = call()
    journal.append(begin_line(attempt(open_call["call_id"]), head_of(open_call)))
    journal.close(stored=True)
    assert len(files(tmp_path)) == 1
    with pytest.raises(StoreError):
        journal.append(call_line())


@pytest.mark.parametrize("most", [1, 2, 100])
def test_lines_longer_than_the_buffer_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(segments, "READ_BYTES", 8)
    written = [b"x" * length for length in (3, 50, 1, 0, 9)]
    path = tmp_path / "file"
    path.write_bytes(b"".join(line + b"\n" for line in written) + b"torn")
    fd, offset, found = os.open(path, os.O_RDONLY), 0, list[bytes]()
    while (read := segments.read_lines(fd, offset, most)).lines:
        assert len(read.lines) <= most
        offset, found = read.end, found + read.lines
    os.close(fd)
    assert found == written
