"""Brings the schema up to date, once, however many processes open the store at the same time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from headgate_core.errors import StoreError
from headgate_core.store.migrations import REVISIONS

ADVISORY_LOCK = 0x48454144
"""The key of PostgreSQL's advisory lock while migrating."""


def bring_up_to_date(engine: Engine, file: Path | None) -> None:
    """Migrate to the newest revision; only a query when that is already there.

    ``file`` is the SQLite database. Raises ``StoreError`` for a schema that is newer than the
    code, and SQLAlchemy's errors.
    """
    if _current(engine) == REVISIONS[-1]:
        return
    if file is not None:
        with _file_lock(file), engine.connect() as db:
            # Python's sqlite3 would run each statement of the schema in a transaction of its own.
            db.exec_driver_sql("begin immediate")
            _upgrade(db)
            db.commit()
    else:
        with engine.begin() as db:
            db.execute(text("select pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            _upgrade(db)


def _current(engine: Engine) -> str | None:
    with engine.connect() as db:
        if not inspect(db).has_table("alembic_version"):
            return None
        return _known(db.execute(text("select version_num from alembic_version")).scalar())


def _known(revision: str | None) -> str | None:
    if revision is None or revision in REVISIONS:
        return revision
    raise StoreError(
        f"The store's schema is at revision {revision}, which this version of Headgate does not "
        f"know: it knows {', '.join(REVISIONS)}. Install the version of Headgate that wrote it "
        "or a newer one, or restore a backup from before the upgrade."
    )


def _upgrade(db: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "headgate_core.store:migrations")
    config.attributes["connection"] = db
    command.upgrade(config, "head")


@contextmanager
def _file_lock(file: Path) -> Iterator[None]:
    fd = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
