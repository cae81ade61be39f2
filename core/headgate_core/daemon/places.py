"""Where a helper process keeps its lock, its socket and its log."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from headgate_core.errors import ServiceError

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel's limit is 107 on Linux and 103 on others."""


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one helper process of one data directory."""

    lock: Path
    socket: Path
    log: Path

    @classmethod
    def of(cls, name: str, data_dir: Path) -> Places:
        """The places of ``name`` below ``data_dir``; their folders are made, private to us.

        Raises ``ServiceError`` when the short folder that a long path needs belongs to another.
        """
        data_dir = data_dir.resolve()
        run, logs = data_dir / "run", data_dir / "logs"
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        socket = run / f"{name}.sock"
        if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
            socket = _short_folder(data_dir) / f"{name}.sock"
        return cls(run / f"{name}.lock", socket, logs / f"{name}.log")


def _short_folder(data_dir: Path) -> Path:
    # Not the configurable temporary folder: every process must come to the same path.
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    folder = Path("/tmp") / f"headgate-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077 == 0
    if status.st_uid != os.getuid() or not private:
        raise ServiceError(
            f"{folder} must be a folder that belongs to this user alone (mode 0700): the sockets "
            f"of {data_dir} lie there because its path is too long for a socket."
        )
    return folder
