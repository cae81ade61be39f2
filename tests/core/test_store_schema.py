"""Opening a store: it is made, migrated, shared by processes, or refused with a reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from headgate_core.errors import ConfigurationError, StoreError
from headgate_core.store import Store, schema
from headgate_core.store.migrations import REVISIONS
from headgate_core.store.tables import metadata


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'headgate.db'}"


def test_migrations_make_exactly_the_tables_of_the_metadata(tmp_path: Path) -> None:
    Store.open(url_of(tmp_path)).close()
    engine = create_engine(url_of(tmp_path))
    with engine.connect() as db:
        assert compare_metadata(MigrationContext.configure(db), metadata) == []
    engine.dispose()


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_database_its_side_files_and_its_folder_are_for_this_user_alone(
    tmp_path: Path,
) -> None:
    store = Store.open(url_of(tmp_path / "var"))
    with store.begin() as db:
        db.execute(text("create table t (x)"))
    modes = {path.name: _mode(path) for path in (tmp_path / "var").iterdir()}
    store.close()
    assert {"headgate.db", "headgate.db-wal", "headgate.db-shm"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert _mode(tmp_path / "var") == 0o700


def test_an_older_database_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    Store.open(url_of(tmp_path)).close()
    (tmp_path / "headgate.db").chmod(0o644)
    folder = _mode(tmp_path)
    store = Store.open(url_of(tmp_path))
    store.ping()
    assert {_mode(p) for p in tmp_path.iterdir()} == {0o600}
    assert _mode(tmp_path) == folder
    store.close()


def test_the_list_of_revisions_is_what_the_migration_files_say() -> None:
    config = Config()
    config.set_main_option("script_location", "headgate_core.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(s.revision for s in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_a_store_that_is_up_to_date_opens_without_alembic(tmp_path: Path) -> None:
    Store.open(url_of(tmp_path)).close()
    program = (
        "import sys; from headgate_core.store import Store; "
        f"Store.open({url_of(tmp_path)!r}).ping(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_processes_that_open_a_new_store_at_once_all_get_the_same_one(tmp_path: Path) -> None:
    program = (
        "from headgate_core.store import Store; from headgate_gateway.keys import server_secret; "
        f"print(server_secret(Store.open({url_of(tmp_path)!r})).hex())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    secrets = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(secrets) == 1 and len(secrets.pop().strip()) == 64


def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(db: object) -> None:
        real(db)  # type: ignore[arg-type]
        raise OSError("killed in the middle")

    real = schema._upgrade
    monkeypatch.setattr(schema, "_upgrade", broken)
    with pytest.raises(StoreError, match="killed in the middle"):
        Store.open(url_of(tmp_path))
    engine = create_engine(url_of(tmp_path))
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    monkeypatch.setattr(schema, "_upgrade", real)
    Store.open(url_of(tmp_path)).close()


def test_a_schema_newer_than_the_code_is_refused(tmp_path: Path) -> None:
    store = Store.open(url_of(tmp_path))
    with store.begin() as db:
        db.execute(text("update alembic_version set version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match=r"revision 9999.*Install the version of Headgate"):
        Store.open(url_of(tmp_path))


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "headgate.db").write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreError, match=r"headgate\.db is damaged.*Restore it from a backup"):
        Store.open(url_of(tmp_path))


@pytest.mark.parametrize("place", ["", "/blocked/headgate.db"])
def test_a_file_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=str(tmp_path)):
        Store.open(f"sqlite:///{tmp_path}{place}")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/db", "nonsense"])
def test_a_url_of_no_supported_database_says_what_to_write(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///PATH"):
        Store.open(url)


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/db") as raised:
        Store.open("postgresql+psycopg://user:hunter2@127.0.0.1:1/db")
    assert "hunter2" not in str(raised.value)


def test_sqlite_writes_ahead_so_that_readers_do_not_block(tmp_path: Path) -> None:
    store = Store.open(url_of(tmp_path))
    with store.begin() as db:
        assert db.execute(text("pragma journal_mode")).scalar() == "wal"
    store.close()
