"""An index that is missing or damaged on disk is built again by plain ingestion, and it says so."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from index_in_process import InProcessDaemon
from rag_world import WORDS
from typer.testing import CliRunner

from headgate_core.settings.load import load_settings
from headgate_core.types import Principal
from headgate_rag.client import IndexClient
from headgate_rag.commands import register
from headgate_rag.commands.progress import Lines
from headgate_rag.types import Query

pytest.importorskip("qdrant_edge")

CONFIG = f"""\
store: {{url: "sqlite:///headgate.db"}}
providers: [{{name: here, use: echo}}]
pools: [{{name: small, targets: [{{provider: here, model: echo}}]}}]
collections: [{{name: docs, sources: [docs], embedder: "{WORDS}", tenancy: TENANCY}}]
"""


@pytest.fixture(autouse=True)
def daemon(monkeypatch: pytest.MonkeyPatch) -> type[InProcessDaemon]:
    monkeypatch.setattr("headgate_rag.client.DaemonClient", InProcessDaemon)
    monkeypatch.setattr(InProcessDaemon, "asked", [])
    monkeypatch.setattr(InProcessDaemon, "fail_at", 0)
    return InProcessDaemon


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name in ("returns", "shipping"):
        (tmp_path / "docs" / f"{name}.md").write_text(f"# {name}\n\nAll about {name}.\n")
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.replace("TENANCY", "per_tenant"))
    return path


def ingest(config: Path, *more: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``headgate ingest docs``."""
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    result = CliRunner().invoke(
        app, ["ingest", "docs", *more, "--config", str(config)], catch_exceptions=False
    )
    return result.exit_code, result.stdout, result.stderr


def found(config: Path, text: str) -> list[str]:
    async def ask() -> list[str]:
        client = IndexClient(load_settings(config))
        try:
            hits = await client.query(Query("docs", text, Principal("k", tenant="default")))
        finally:
            await client.close()
        return [hit.document for hit in hits]

    return asyncio.run(ask())


def part(name: str) -> Callable[[Path], None]:
    """Removes what matches ``name`` in the folder of an index version."""

    def remove(folder: Path) -> None:
        gone = next(folder.glob(name))
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()

    return remove


DAMAGE: dict[str, Callable[[Path], object]] = {
    "all indexes": lambda folder: shutil.rmtree(folder.parent.parent),
    "the version": shutil.rmtree,
    "points": part("points"),
    "manifest": part("version.json"),
    "garbage manifest": lambda folder: (folder / "version.json").write_text("?"),
    "segments": part("points/segments"),
    "a description": part("points/segments/*/segment.json"),
    "vectors": part("points/segments/*/vector_storage-dense"),
    "texts": part("points/segments/*/payload_storage"),
    "identities": part("points/segments/*/*mappings"),
    "configuration": part("points/edge_config.json"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_plain_ingestion_builds_a_damaged_index_again_and_says_so(
    config: Path, damage: Callable[[Path], object]
) -> None:
    ingest(config)
    (version,) = (config.parent / "indexes/docs").iterdir()
    damage(version)
    code, out, _ = ingest(config)
    assert code == 0
    assert "2 added" in out and "0 unchanged" in out
    gone = not version.parent.exists() or not version.exists()
    assert "and has been built again" in out
    assert found(config, "all about shipping")[0] == "docs/shipping.md"
    assert gone and version not in (config.parent / "indexes/docs").iterdir()


def test_a_missing_index_is_called_missing_and_the_next_run_is_quiet(
    config: Path, daemon: type[InProcessDaemon]
) -> None:
    ingest(config)
    shutil.rmtree(config.parent / "indexes")
    assert "the index was missing and has been built again" in ingest(config)[1]
    daemon.asked.clear()
    code, out, err = ingest(config)
    assert (code, err, daemon.asked) == (0, "", [])
    assert "2 unchanged" in out and "again" not in out


def test_a_changed_document_on_top_of_a_missing_index_is_no_obstacle(config: Path) -> None:
    ingest(config)
    shutil.rmtree(config.parent / "indexes")
    (config.parent / "docs/new.md").write_text("# Invoices\n\nWhen invoices are sent.\n")
    code, out, _ = ingest(config)
    assert code == 0 and "3 added" in out
    assert found(config, "invoices sent")[0] == "docs/new.md"


def test_documents_that_this_run_cannot_bring_back_are_waited_for_and_named(config: Path) -> None:
    ingest(config)
    other = config.parent / "other.md"
    other.write_text("# Other\n\nSomething else.\n")
    ingest(config, str(other))
    shutil.rmtree(config.parent / "indexes")
    code, out, err = ingest(config)
    assert code == 1 and "built again" not in out
    assert "other.md" in err and "queries fail" in err
    code, out, _ = ingest(config, str(other))
    assert code == 0 and "the index was missing and has been built again" in out
    assert "other.md" in found(config, "something else")[0]


def test_a_program_reads_what_was_wrong(config: Path) -> None:
    ingest(config)
    assert json.loads(ingest(config, "--json")[1])["damage"] == ""
    shutil.rmtree(config.parent / "indexes")
    report = json.loads(ingest(config, "--json")[1])
    assert (report["damage"], report["complete"]) == ("its folder is missing.", True)


def test_a_run_without_a_terminal_says_what_it_waits_for_and_how_far_it_is(config: Path) -> None:
    for number in range(11):
        (config.parent / f"docs/{number}.md").write_text(f"# Number {number}\n\nText.\n")
    _, _, err = ingest(config)
    assert err.splitlines() == [
        f"loading the embedding model {WORDS} ...",
        "docs: 10 of 13 documents",
        "docs: 13 of 13 documents",
    ]


def test_slow_documents_give_a_line_every_ten_seconds() -> None:
    now, said = [0.0], list[str]()
    lines = Lines("docs", said.append, lambda: now[0])
    for done in range(1, 8):
        now[0] += 4.0
        lines.document(done, 23, "x.md")
    assert said == ["docs: 3 of 23 documents", "docs: 6 of 23 documents"]
