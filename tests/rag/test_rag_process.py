"""The index process: real processes, killed and raced for, written to and asked."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
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
    run,
    settings_in,
)

from headgate_core.errors import (
    ConfigurationError,
    InvalidRequest,
    RetrievalFailed,
    ServiceError,
)
from headgate_core.settings.base import PluginUse
from headgate_rag.client import IndexClient
from headgate_rag.process.worker import Worker

pytest.importorskip("qdrant_edge")
pytestmark = pytest.mark.slow

TEXTS = [("zebra.md", "the zebra has stripes"), ("gnu.md", "the gnu runs in herds")]


def test_what_is_written_is_found_with_its_place(tmp_path: Path) -> None:
    async def body(client: IndexClient) -> None:
        version = await client.begin_version("docs")
        chunks = chunks_of("animals.md", "the zebra has stripes", "the gnu runs", kind="guide")
        await client.replace("docs", "acme", "animals.md", chunks, version.version)
        await client.switch_version("docs", version.version)
        best = (await client.query(ask("gnu")))[0]
        assert (best.document, best.text, best.start, best.end) == (
            "animals.md",
            "the gnu runs",
            22,
            34,
        )
        assert best.heading == ("Guide", "Part 1")
        assert (best.anchor, best.title, best.collection) == ("part-1", "Animals.Md", "docs")
        assert best.metadata == {"kind": "guide"}
        assert set(best.scores) == {"dense", "bm25", "rrf"}
        assert best.score == best.scores["rrf"]
        assert await client.count("docs") == 2

    run(settings_in(tmp_path), body)


def test_nothing_is_lost_by_kill_9_and_work_goes_on(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        await fill(client, settings, TEXTS)
        first = (await client.status())["pid"]
        os.kill(first, signal.SIGKILL)
        passages = await client.query(ask("zebra", top_k=1))
        assert [p.document for p in passages] == ["zebra.md"]
        assert (await client.status())["pid"] != first
        await client.replace("docs", "acme", "okapi.md", chunks_of("okapi.md", "the okapi hides"))
        assert (await client.query(ask("okapi")))[0].document == "okapi.md"

    run(settings, body)


def test_killed_in_the_middle_of_writing_it_loses_no_finished_document(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        version = await fill(client, settings, TEXTS)
        pid = (await client.status())["pid"]
        big = chunks_of("big.md", *(f"passage {n} of the big book" for n in range(2000)))
        writing = asyncio.create_task(client.replace("docs", "acme", "big.md", big))
        await client.query(ask("zebra"))
        assert not writing.done()  # the query was answered between two batches of the book
        os.kill(pid, signal.SIGKILL)
        await writing  # sent again to the next process
        assert await client.count("docs", version.version) == 2 + 2000
        assert (await client.query(ask("zebra")))[0].document == "zebra.md"

    run(settings, body)


def test_two_clients_that_race_share_one_process(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        async with client_in(settings) as other:
            one, two = await asyncio.gather(client.status(), other.status())
            assert one["pid"] == two["pid"]

    run(settings, body)


def test_two_programs_that_race_share_one_process(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from rag_world import client_in, settings_in\n"
        "async def main():\n"
        "    async with client_in(settings_in(Path(sys.argv[1]))) as client:\n"
        "        print((await client.status())['pid'])\n"
        "asyncio.run(main())\n"
    )
    environment = ["/usr/bin/env", f"PYTHONPATH={os.pathsep.join(sys.path)}"]
    command = [*environment, sys.executable, "-c", program, str(tmp_path)]
    try:
        both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        answers = [process.communicate(timeout=120)[0] for process in both]
    finally:
        kill(tmp_path)
    assert answers[0] == answers[1]
    assert int(answers[0]) > 0


def test_another_process_cannot_open_the_index(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    program = (
        "import sys; from pathlib import Path\n"
        "from headgate_rag.indexes.embedded import Embedded\n"
        "Embedded().open(Path(sys.argv[1]), 64)\n"
    )

    async def body(client: IndexClient) -> None:
        version = await fill(client, settings, TEXTS)
        folder = tmp_path / version.folder / "points"
        process = await asyncio.create_subprocess_exec(
            *("/usr/bin/env", f"PYTHONPATH={os.pathsep.join(sys.path)}"),
            *(sys.executable, "-c", program, str(folder)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, output = await process.communicate()
        assert process.returncode == 1
        assert b"open in another process" in output
        assert (await client.query(ask("zebra")))[0].document == "zebra.md"

    run(settings, body)


def test_asking_before_anything_was_ingested_says_what_to_run(tmp_path: Path) -> None:
    async def body(client: IndexClient) -> None:
        with pytest.raises(RetrievalFailed, match="headgate ingest docs"):
            await client.query(ask("zebra"))
        assert await client.count("docs") == 0
        await client.begin_version("docs")  # an unfinished version answers nothing either
        with pytest.raises(RetrievalFailed, match="headgate ingest docs"):
            await client.query(ask("zebra"))

    run(settings_in(tmp_path), body)


def test_an_unknown_collection_names_those_there_are(tmp_path: Path) -> None:
    async def body(client: IndexClient) -> None:
        with pytest.raises(ConfigurationError, match=r"'doc'.*Did you mean 'docs'"):
            await client.query(ask("zebra", name="doc"))

    run(settings_in(tmp_path), body)


def test_tenants_are_kept_apart_unless_the_collection_is_shared(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, collection(), collection("common", tenancy="shared"))

    async def body(client: IndexClient) -> None:
        for name in ("docs", "common"):
            version = await client.begin_version(name)
            for tenant in ("acme", "globex"):
                chunks = chunks_of(f"{tenant}.md", f"zebra of {tenant}")
                await client.replace(name, tenant, f"{tenant}.md", chunks, version.version)
            await client.switch_version(name, version.version)

        async def seen(name: str, tenant: str) -> set[str]:
            return {p.document for p in await client.query(ask("zebra", tenant, name))}

        assert await seen("docs", "acme") == {"acme.md"}
        assert await seen("docs", "globex") == {"globex.md"}
        assert await seen("docs", "initech") == set()
        assert await seen("common", "initech") == {"acme.md", "globex.md"}
        with pytest.raises(ServiceError, match="kept apart by tenant"):
            await client.query(ask("zebra", ""))
        await client.delete("docs", "globex", "acme.md")
        assert await seen("docs", "acme") == {"acme.md"}

    run(settings, body)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("short", "1 vectors for 2 texts"),
        ("dimension", "a vector of 65 numbers"),
        ("nan", "may be no numbers"),
    ],
)
def test_vectors_that_are_not_what_was_asked_for_are_refused(
    tmp_path: Path, spoil: str, message: str
) -> None:
    spoiled = {"use": WORDS, "options": {"spoil": spoil}}
    settings = settings_in(tmp_path, collection(embedder=spoiled))

    async def body(client: IndexClient) -> None:
        version = await client.begin_version("docs")
        chunks = chunks_of("a.md", "one", "two")
        with pytest.raises(ServiceError, match=message):
            await client.replace("docs", "acme", "a.md", chunks, version.version)
        assert await client.count("docs", version.version) == 0

    run(settings, body)


def test_groups_that_cannot_be_understood_stop_the_document(tmp_path: Path) -> None:
    async def body(client: IndexClient) -> None:
        version = await client.begin_version("docs")
        chunks = chunks_of("a.md", "one", groups=7)
        with pytest.raises(InvalidRequest, match="groups"):
            await client.replace("docs", "acme", "a.md", chunks, version.version)

    run(settings_in(tmp_path), body)


def test_replacing_and_deleting_through_the_process(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def body(client: IndexClient) -> None:
        await fill(client, settings, TEXTS)
        await client.replace("docs", "acme", "zebra.md", chunks_of("zebra.md", "no stripes", "x"))
        assert await client.count("docs") == 3
        await client.replace("docs", "acme", "zebra.md", [])
        assert await client.count("docs") == 1
        await client.delete("docs", "acme", "gnu.md")
        await client.delete("docs", "acme", "gnu.md")
        assert await client.count("docs") == 0

    run(settings, body)


def test_embedding_keeps_the_order_of_the_texts(tmp_path: Path) -> None:
    async def body(client: IndexClient) -> None:
        texts = [f"word{n}" for n in range(100)]
        vectors = await client.embed(texts, PluginUse(use=WORDS))
        singles = [(await client.embed([text], PluginUse(use=WORDS)))[0] for text in texts[::33]]
        assert vectors[::33] == singles
        with pytest.raises(ConfigurationError, match="unknown embedders plugin 'nonsense'"):
            await client.embed(["x"], PluginUse(use="nonsense"))

    run(settings_in(tmp_path), body)


def test_warming_opens_what_there_is(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, collection(), collection("empty"))

    async def body(client: IndexClient) -> None:
        version = await fill(client, settings, TEXTS)
        kill(tmp_path)
        await client.warm(["docs", "empty"])
        status = await client.status()
        assert status["open"] == [str(tmp_path / version.folder)]
        assert status["models"] == ["words-64"]

    run(settings, body)


def test_waiting_queries_go_before_waiting_batches() -> None:
    async def body() -> list[str]:
        worker, order = Worker(), list[str]()
        hold = asyncio.Event()
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(
            worker.run(lambda: asyncio.run_coroutine_threadsafe(hold.wait(), loop).result())
        )
        await asyncio.sleep(0)
        batches = [asyncio.create_task(worker.run(lambda: order.append("batch"))) for _ in "12"]
        await asyncio.sleep(0)
        query = asyncio.create_task(worker.run(lambda: order.append("query"), urgent=True))
        await asyncio.sleep(0)
        hold.set()
        await asyncio.gather(first, *batches, query)
        return order

    assert asyncio.run(body()) == ["query", "batch", "batch"]
