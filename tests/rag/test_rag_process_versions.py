"""Versions of an index: built beside the current one, switched, damaged and rebuilt."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rag_world import (
    WORDS,
    ask,
    chunks_of,
    client_in,
    collection,
    fill,
    kill,
    record,
    run,
    settings_in,
)

from headgate_core.errors import (
    BrokenIndex,
    RetrievalFailed,
)
from headgate_rag.client import IndexClient

pytest.importorskip("qdrant_edge")
pytestmark = pytest.mark.slow

TEXTS = [("zebra.md", "the zebra has stripes"), ("gnu.md", "the gnu runs in herds")]


def test_turning_a_shared_collection_private_shows_nothing_before_it_is_ingested_anew(
    tmp_path: Path,
) -> None:
    shared = settings_in(tmp_path, collection(tenancy="shared"))
    private = settings_in(tmp_path, collection())

    async def body(client: IndexClient) -> None:
        await fill(client, shared, TEXTS)
        async with client_in(private) as strict:
            with pytest.raises(RetrievalFailed, match=r"tenancy: shared.*headgate ingest docs"):
                await strict.query(ask("zebra"))
            assert not (await strict.begin_version("docs")).current

    run(shared, body)


def test_a_new_embedder_is_built_beside_the_old_one_which_answers_until_the_switch(
    tmp_path: Path,
) -> None:
    old = settings_in(tmp_path)
    new = settings_in(
        tmp_path, collection(embedder={"use": WORDS, "options": {"name": "other", "size": 32}})
    )

    async def body(client: IndexClient) -> None:
        first = await fill(client, old, TEXTS)
        async with client_in(new) as upgraded:
            second = await upgraded.begin_version("docs")
            assert (second.current, second.dimension, first.dimension) == (False, 32, 64)
            assert second.fingerprint != first.fingerprint
            assert (await upgraded.query(ask("zebra")))[0].document == "zebra.md"
            chunks = chunks_of("okapi.md", "the okapi hides")
            await upgraded.replace("docs", "acme", "okapi.md", chunks, second.version)
            assert {p.document for p in await upgraded.query(ask("okapi"))} == {
                "zebra.md",
                "gnu.md",
            }
            assert (await upgraded.begin_version("docs")).version == second.version
            assert (await upgraded.switch_version("docs", second.version)).current
            assert [p.document for p in await upgraded.query(ask("okapi"))] == ["okapi.md"]
            assert [v.version for v in await upgraded.versions("docs")] == [second.version]
            assert (await upgraded.begin_version("docs")).version == second.version
        assert not (tmp_path / first.folder).exists()

    run(old, body)


def test_a_version_that_lacks_what_is_on_record_does_not_become_current(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        version = await client.begin_version("docs")
        await asyncio.to_thread(record, settings, version.version, "lost.md", 3)
        with pytest.raises(BrokenIndex, match="0 of the 3 chunks"):
            await client.switch_version("docs", version.version)

    run(settings, body)


def _garbage(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"garbage")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "folder gone": shutil.rmtree,
    "points gone": lambda folder: shutil.rmtree(folder / "points"),
    "segments gone": lambda folder: shutil.rmtree(folder / "points/segments"),
    "identities gone": lambda folder: next(folder.glob("points/segments/*/*mappings")).unlink(),
    "everything garbage": _garbage,
    "points garbage": lambda folder: _garbage(folder / "points"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_index_is_named_with_its_remedy_and_the_remedy_works(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        version = await fill(client, settings, TEXTS)
        kill(tmp_path)
        damage(tmp_path / version.folder)
        with pytest.raises(BrokenIndex, match="headgate ingest docs --rebuild") as broken:
            await client.query(ask("zebra"))
        assert version.folder in str(broken.value)
        with pytest.raises(BrokenIndex, match="headgate ingest docs --rebuild"):
            await client.begin_version("docs")
        await fill(client, settings, TEXTS, rebuild=True)
        assert (await client.query(ask("zebra")))[0].document == "zebra.md"

    run(settings, body)


def test_a_folder_removed_under_the_running_process_is_noticed(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        version = await fill(client, settings, TEXTS)
        shutil.rmtree(tmp_path / version.folder)
        with pytest.raises(BrokenIndex, match="headgate ingest docs --rebuild"):
            await client.query(ask("zebra"))

    run(settings, body)
