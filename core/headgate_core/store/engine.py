"""The database engine: opened once a process, used from threads, never on the event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from headgate_core.errors import StoreError
from headgate_core.store.tables import metadata


class Store:
    """One database. All methods block: call them with ``asyncio.to_thread`` from the loop."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
            event.listen(self._engine, "connect", _pragmas)

    @classmethod
    def open(cls, url: str) -> Store:
        """Open and bring the schema up to date. Raises ``StoreError``."""
        store = cls(url)
        try:
            metadata.create_all(store._engine)
        except SQLAlchemyError as error:
            raise StoreError(f"The store {url} cannot be opened: {error}.") from error
        return store

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back when it raises."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"The store failed: {error}.") from error

    def ping(self) -> None:
        """Raises ``StoreError`` when the database does not answer."""
        with self.begin() as db:
            db.execute(text("select 1"))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=wal", "synchronous=normal", "busy_timeout=10000"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()
