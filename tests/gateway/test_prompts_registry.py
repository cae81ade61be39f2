"""Labels and versions of prompts in the store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from headgate_core.errors import ConfigurationError
from headgate_core.store import Store
from headgate_core.store.tables import prompt_versions
from headgate_gateway.prompts.registry import Prompts

TEXT = "---\nname: p\n---\n=== system ===\n{% include 'partials/s.md' %}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "prompts"
    (made / "partials").mkdir(parents=True)
    (made / "p.md").write_text(TEXT, encoding="utf-8")
    (made / "partials" / "s.md").write_text("one\n", encoding="utf-8")
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/x.db")
    yield opened
    opened.close()


def said(prompts: Prompts, reference: str) -> str:
    return str(prompts.resolve(reference).render({}, [], []).messages[0]["content"])


def test_a_label_without_a_row_is_seeded_and_then_stays(folder: Path, store: Store) -> None:
    prompts = Prompts(folder, store)
    first = prompts.resolve("p@production")
    (label,) = prompts.labels("p")
    assert (label.label, label.version, label.set_by) == ("production", first.version, "seeded")
    (folder / "partials" / "s.md").write_text("two\n", encoding="utf-8")
    assert said(prompts, "p@production") == "one"
    assert said(prompts, "p@file") == "two"


def test_a_stored_version_renders_without_its_files(folder: Path, store: Store) -> None:
    prompts = Prompts(folder, store)
    version = prompts.resolve("p@production").version
    for file in ("partials/s.md", "p.md"):
        (folder / file).unlink()
    assert said(prompts, "p@production") == "one"
    assert said(prompts, f"p@{version[:6]}") == "one"


def test_a_label_moves_only_when_it_is_told_to(folder: Path, store: Store) -> None:
    prompts = Prompts(folder, store)
    before = prompts.resolve("p@production").version
    (folder / "partials" / "s.md").write_text("two\n", encoding="utf-8")
    after = prompts.set_label("p", "production", "file", "ann")
    assert after != before
    assert said(prompts, "p@production") == "two"
    assert prompts.labels("p")[0].set_by == "ann"
    assert prompts.versions("p") == [after, before]
    assert prompts.set_label("p", "production", before[:8], "ann") == before
    assert prompts.set_label("p", "old", "production", "ann") == before


def test_processes_that_seed_at_once_agree(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    Store.open(url).close()
    found: list[str] = []
    gate = threading.Barrier(4)

    def seed() -> None:
        own = Store(url)
        gate.wait()
        found.append(Prompts(folder, own).resolve("p@production").version)
        own.close()

    threads = [threading.Thread(target=seed) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_what_does_not_exist_is_said_with_what_does(folder: Path, store: Store) -> None:
    prompts = Prompts(folder, store)
    prompts.resolve("p@production")
    for reference, says in (
        ("q@file", "unknown prompt 'q'"),
        ("p", "write p"),
        ("../p@file", "does not name a prompt"),
        ("p@abcdef", "no stored version begins"),
    ):
        with pytest.raises(ConfigurationError, match=says.replace("write p", "does not name")):
            prompts.resolve(reference)
    with pytest.raises(ConfigurationError, match="Did you mean 'production'"):
        prompts.resolve("p@producton", seed=False)
    for label in ("file", "deadbeef", "1st", "a b"):
        with pytest.raises(ConfigurationError, match="cannot be a label"):
            prompts.set_label("p", label, "file", "ann")


def test_a_label_whose_text_is_gone_says_how_to_mend_it(folder: Path, store: Store) -> None:
    prompts = Prompts(folder, store)
    prompts.resolve("p@production")
    with store.begin() as db:
        db.execute(delete(prompt_versions))
    with pytest.raises(ConfigurationError, match="headgate prompts label p"):
        prompts.resolve("p@production")
