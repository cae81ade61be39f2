"""The database engine: opened once a process, used from threads, never on the event loop."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from headgate_core.errors import ConfigurationError, StoreError
from headgate_core.plugins import missing_extra
from headgate_core.store.schema import bring_up_to_date

log = logging.getLogger("headgate.store")

POOL, OVERFLOW = 5, 5
"""Connections that a process keeps, and how many more it opens at most while it is busy."""


class Store:
    """One database. All methods block: call them with ``asyncio.to_thread`` from the loop.

    Raises ``StoreError`` when a SQLite file cannot be made, ``ConfigurationError`` for a bad URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file = _sqlite_file(url)
        self._engine = _engine(url)
        if self._file is not None:
            _make_file(self._file)
            event.listen(self._engine, "connect", _pragmas)

    @classmethod
    def open(cls, url: str) -> Store:
        """Open and bring the schema up to date; several processes may do so at once.

        Raises ``StoreError`` saying what is wrong with the database and what to do.
        """
        store = cls(url)
        try:
            bring_up_to_date(store._engine, store._file)
        except (SQLAlchemyError, OSError) as error:
            store.close()
            raise StoreError(store._advice(error)) from error
        except StoreError:
            store.close()
            raise
        return store

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back when it raises."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"The store failed: {_first_line(error)}.") from error

    def ping(self) -> None:
        """Raises ``StoreError`` when the database does not answer."""
        with self.begin() as db:
            db.execute(text("select 1"))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _advice(self, error: Exception) -> str:
        reason = _first_line(error)
        if self._file is None:
            shown = make_url(self.url).render_as_string(hide_password=True)
            return f"The store {shown} cannot be opened: {reason}. Is the server up and reachable?"
        if "not a database" in reason or "malformed" in reason:
            return (
                f"The database {self._file} is damaged or no SQLite database: {reason}. Restore it "
                "from a backup, or move it away: the next start makes a new, empty one."
            )
        return (
            f"The database {self._file} cannot be opened: {reason}. This user must be able to "
            "write the file and its folder, and the disk must have room."
        )


def _sqlite_file(url: str) -> Path | None:
    if not url.startswith("sqlite"):
        return None
    path = url.removeprefix("sqlite:///")
    if path in (url, "", ":memory:"):
        raise ConfigurationError(f"store.url {url!r} names no file: write sqlite:///PATH.")
    return Path(path)


def _engine(url: str) -> Engine:
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ConfigurationError(
            "store.url is neither sqlite:///PATH nor "
            "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
        )
    options: dict[str, Any] = {"pool_size": POOL, "max_overflow": OVERFLOW}
    try:
        if not url.startswith("sqlite"):
            options |= {"pool_pre_ping": True, "connect_args": _patience(url)}
        return create_engine(url, **options)
    except ArgumentError as error:
        raise ConfigurationError(f"store.url is not understood: {_first_line(error)}.") from error
    except ModuleNotFoundError as error:
        raise missing_extra("psycopg") from error


def _patience(url: str) -> dict[str, Any]:
    """How long a server may be silent (libpq's names) where ``url`` does not say it itself."""
    wanted = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
    return {name: value for name, value in wanted.items() if name not in make_url(url).query}


def _make_file(file: Path) -> None:
    """An empty database that nobody else can read, unless there is one; SQLite fills it.

    It holds the server's secret and captured text. SQLite gives ``-wal`` and ``-shm`` its mode.
    """
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder of the database {file} cannot be made: {error}.") from error
    if file.exists() and not os.access(file, os.W_OK):
        raise StoreError(
            f"The database {file} cannot be written by this user: change its owner or mode."
        )
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"The database {file} cannot be made: {error}.") from error
    for suffix in ("", "-wal", "-shm", "-journal"):
        _tighten(file.with_name(file.name + suffix))


def _tighten(file: Path) -> None:
    """Take a file of this user away from all others."""
    try:
        found = file.stat()
        if found.st_uid == os.geteuid() and found.st_mode & 0o077:
            file.chmod(found.st_mode & 0o700)
            log.warning("%s could be read by other users; now it cannot", file)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("%s can be read by other users, and that cannot be changed: %s", file, error)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).partition("\n")[0].rstrip(".")


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("busy_timeout=10000", "journal_mode=wal", "synchronous=normal"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()
