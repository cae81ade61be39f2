"""Ingestion: only changes cost, the vanished goes, the bad is named, versions switch safely."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from index_in_process import InProcessDaemon
from typer.testing import CliRunner

from headgate_core.errors import ConfigurationError
from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.pools import PoolSettings, TargetSettings
from headgate_core.settings.retrieval import CollectionSettings
from headgate_core.settings.server import StoreSettings
from headgate_core.types import Principal
from headgate_rag.catalogue import Catalogue
from headgate_rag.client import IndexClient
from headgate_rag.commands import register
from headgate_rag.documents import NoSuchPath
from headgate_rag.ingest import IngestReport, ingest
from headgate_rag.types import Query

pytest.importorskip("qdrant_edge")


@pytest.fixture(autouse=True)
def daemon(monkeypatch: pytest.MonkeyPatch) -> type[InProcessDaemon]:
    monkeypatch.setattr("headgate_rag.client.DaemonClient", InProcessDaemon)
    monkeypatch.setattr(InProcessDaemon, "asked", [])
    monkeypatch.setattr(InProcessDaemon, "fail_at", 0)
    return InProcessDaemon


class Shop:
    """A folder with documents and a gateway that has them as the collection ``handbook``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.docs = folder / "docs"
        self.docs.mkdir()
        self.collection: dict[str, Any] = {}

    def write(self, name: str, text: str) -> None:
        (self.docs / name).write_text(text)

    @property
    def settings(self) -> GatewaySettings:
        collection = CollectionSettings(
            name="handbook",
            sources=[self.docs],
            embedder=PluginUse(use="rag_fakes:WordEmbedder"),
            **self.collection,
        )
        target = TargetSettings(provider="p", model="m")
        return GatewaySettings(
            store=StoreSettings(url=f"sqlite:///{self.folder}/var/headgate.db"),
            pools=[PoolSettings(name="p", targets=[target])],
            collections=[collection],
        )

    def ingest(self, *paths: Path, tenant: str = "default", rebuild: bool = False) -> IngestReport:
        return asyncio.run(ingest(self.settings, "handbook", paths, tenant, rebuild))

    def found(self, text: str, tenant: str = "default") -> list[str]:
        async def ask() -> list[str]:
            client = IndexClient(self.settings)
            try:
                hits = await client.query(Query("handbook", text, Principal("k", tenant=tenant)))
            finally:
                await client.close()
            return [hit.document for hit in hits]

        return asyncio.run(ask())


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.write("returns.md", "# Returns\n\nOpened routers go back within 14 days.\n")
    shop.write("shipping.md", "# Shipping\n\nParcels arrive within three days.\n")
    return shop


def written(daemon: type[InProcessDaemon]) -> int:
    return daemon.asked.count("replace")


def test_documents_are_found_once_they_are_ingested(shop: Shop) -> None:
    report = shop.ingest()
    assert report.added == ["docs/returns.md", "docs/shipping.md"]
    assert report.chunks == 2
    assert report.complete
    assert shop.found("parcels arrive")[0] == "docs/shipping.md"


def test_an_unchanged_folder_does_not_even_start_the_index_process(
    shop: Shop, daemon: type[InProcessDaemon]
) -> None:
    shop.ingest()
    daemon.asked.clear()
    report = shop.ingest()
    assert daemon.asked == []
    assert (report.unchanged, report.chunks, report.added) == (2, 0, [])


def test_only_what_changed_is_embedded_again(shop: Shop, daemon: type[InProcessDaemon]) -> None:
    shop.ingest()
    daemon.asked.clear()
    shop.write("returns.md", "# Returns\n\nNothing goes back, ever.\n")
    shop.write("new.txt", "A new document on payment.")
    report = shop.ingest()
    assert report.updated == ["docs/returns.md"]
    assert report.added == ["docs/new.txt"]
    assert report.unchanged == 1
    assert written(daemon) == 2
    assert shop.found("payment")[0] == "docs/new.txt"


def test_a_vanished_document_is_gone_from_the_answers(shop: Shop) -> None:
    shop.ingest()
    (shop.docs / "shipping.md").unlink()
    report = shop.ingest()
    assert report.removed == ["docs/shipping.md"]
    assert "docs/shipping.md" not in shop.found("parcels arrive")


def test_ingesting_one_file_leaves_the_others_alone(shop: Shop) -> None:
    shop.ingest()
    (shop.docs / "shipping.md").unlink()
    report = shop.ingest(shop.docs / "returns.md")
    assert report.removed == []
    assert "docs/shipping.md" in shop.found("parcels arrive")


def test_a_document_that_cannot_be_read_is_named_and_the_rest_goes_on(shop: Shop) -> None:
    (shop.docs / "broken.md").write_bytes(b"\xff\xfe caf\xe9")
    shop.write("empty.md", "")
    report = shop.ingest()
    assert sorted(report.unreadable) == ["docs/broken.md", "docs/empty.md"]
    assert "UTF-8" in report.unreadable["docs/broken.md"]
    assert len(report.added) == 2
    assert not report.complete
    assert shop.found("parcels arrive")


@pytest.mark.parametrize("fail_at", [1, 2, 3, 4])
def test_an_interrupted_run_can_be_repeated(
    shop: Shop, daemon: type[InProcessDaemon], fail_at: int
) -> None:
    daemon.fail_at = fail_at  # begin, replace, replace, switch
    with pytest.raises(ConnectionResetError):
        shop.ingest()
    daemon.fail_at = 0
    daemon.asked.clear()
    report = shop.ingest()
    assert report.complete
    assert written(daemon) == {1: 2, 2: 2, 3: 1, 4: 0}[fail_at]
    assert sorted(shop.found("within days")) == ["docs/returns.md", "docs/shipping.md"]


def test_another_configuration_builds_a_new_version_beside_the_old_one(
    shop: Shop, daemon: type[InProcessDaemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.ingest().version
    shop.collection = {"chunker": PluginUse(use="structure", options={"max_tokens": 100})}
    daemon.asked.clear()
    daemon.fail_at = 3
    with pytest.raises(ConnectionResetError):
        shop.ingest()
    assert shop.found("parcels arrive"), "the old version answers until the new one is complete"
    daemon.fail_at = 0
    report = shop.ingest()
    assert report.version != before
    assert shop.found("parcels arrive")[0] == "docs/shipping.md"


def test_a_new_version_waits_for_the_documents_of_other_tenants(shop: Shop) -> None:
    shop.collection = {"tenancy": "per_tenant"}
    shop.ingest(tenant="acme")
    shop.ingest(tenant="bolt")
    shop.collection["chunker"] = PluginUse(use="structure", options={"max_tokens": 100})
    report = shop.ingest(tenant="acme")
    assert report.waiting == [
        "docs/returns.md (tenant bolt)",
        "docs/shipping.md (tenant bolt)",
    ]
    assert shop.found("parcels arrive", "bolt"), "the old version still answers"
    assert shop.ingest(tenant="bolt").complete
    assert shop.found("parcels arrive", "acme")
    assert shop.found("parcels arrive", "bolt")


def test_a_new_version_waits_for_documents_outside_the_paths_and_rebuild_gives_them_up(
    shop: Shop, tmp_path: Path
) -> None:
    extra = tmp_path / "extra.txt"
    extra.write_text("Warranty lasts two years.")
    shop.ingest()
    shop.ingest(extra)
    shop.collection = {"chunker": PluginUse(use="structure", options={"max_tokens": 100})}
    report = shop.ingest()
    assert report.waiting == ["extra.txt"]
    assert "extra.txt" in shop.found("warranty")
    report = shop.ingest(rebuild=True)
    assert report.complete
    assert report.removed == ["extra.txt"]
    assert "extra.txt" not in shop.found("warranty")


def test_one_tenant_never_finds_the_documents_of_another(shop: Shop) -> None:
    shop.collection = {"tenancy": "per_tenant"}
    shop.ingest(tenant="acme")
    assert shop.found("parcels arrive", "acme")
    assert shop.found("parcels arrive", "bolt") == []


def test_a_collection_that_is_not_configured_is_an_error_that_lists_those_there_are(
    shop: Shop,
) -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean 'handbook'"):
        asyncio.run(ingest(shop.settings, "handbok", [], "default", False))
    with pytest.raises(NoSuchPath):
        shop.ingest(shop.folder / "nowhere")


Command = Callable[..., Any]


@pytest.fixture
def command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr("headgate_core.settings.load.load_settings", lambda path: shop.settings)
    monkeypatch.setattr("headgate_core.settings.load.find_config", lambda option: Path("unused"))
    app = typer.Typer()
    register(app)
    return lambda *args: CliRunner().invoke(app, list(args))


def test_the_command_exits_1_and_says_why_when_a_document_was_skipped(
    shop: Shop, command: Command
) -> None:
    shop.write("empty.md", "")
    result = command("ingest", "handbook")
    assert result.exit_code == 1
    assert "2 added" in result.stdout
    assert "skipped docs/empty.md: it is empty." in result.stderr


def test_the_command_exits_0_and_reports_as_json(command: Command) -> None:
    result = command("ingest", "handbook", "--json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["added"] == ["docs/returns.md", "docs/shipping.md"]
    assert report["complete"] is True


def test_collections_lists_what_is_in_use(shop: Shop, command: Command) -> None:
    (row,) = json.loads(command("collections", "--json").stdout)
    assert (row["name"], row["documents"], row["version"]) == ("handbook", 0, "")
    report = shop.ingest()
    (row,) = json.loads(command("collections", "--json").stdout)
    assert row == {
        "name": "handbook",
        "documents": 2,
        "chunks": 2,
        "embedder": "words-64",
        "version": report.version,
    }
    assert "words-64" in command("collections").stdout


def test_a_row_is_replaced_and_removed_alone(shop: Shop, tmp_path: Path) -> None:
    from headgate_core.store import Store
    from headgate_rag.catalogue import Row

    store = Store.open(f"sqlite:///{tmp_path}/a.db")
    catalogue = Catalogue(store, "c")
    catalogue.put("v", Row("t", "a.md", "1", "A", 2))
    catalogue.put("v", Row("t", "a.md", "2", "A", 3))
    catalogue.put("v", Row("u", "a.md", "9", "A", 1))
    assert [r.content_hash for r in catalogue.rows("v")] == ["2", "9"]
    catalogue.remove("v", "t", "a.md")
    assert [r.tenant for r in catalogue.rows("v")] == ["u"]
    store.close()
