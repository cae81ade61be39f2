"""A data directory with its index process, for tests: settings, chunks, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from headgate_core.settings.gateway import GatewaySettings
from headgate_core.store import Store
from headgate_core.store.tables import documents
from headgate_core.types import Principal
from headgate_rag.client import IndexClient, IndexVersion
from headgate_rag.types import Chunk, Query

WORDS = "rag_fakes:WordEmbedder"


def settings_in(folder: Path, *collections: dict[str, Any]) -> GatewaySettings:
    """Settings whose data directory is ``folder``."""
    return GatewaySettings.model_validate(
        {
            "store": {"url": f"sqlite:///{folder}/headgate.db"},
            "pools": [{"name": "p", "targets": [{"provider": "e", "model": "m"}]}],
            "collections": list(collections or [collection()]),
        }
    )


def collection(name: str = "docs", **members: Any) -> dict[str, Any]:
    """A collection embedded by words alone, without a model."""
    return {"name": name, "embedder": {"use": WORDS}, "tenancy": "per_tenant", **members}


def chunks_of(document: str, *texts: str, **metadata: Any) -> list[Chunk]:
    """One chunk a text, one after the other."""
    chunks, at = [], 0
    for ordinal, text in enumerate(texts):
        chunks.append(
            Chunk(
                document=document,
                ordinal=ordinal,
                text=text,
                start=at,
                end=at + len(text),
                title=document.title(),
                heading=("Guide", f"Part {ordinal}"),
                anchor=f"part-{ordinal}",
                embedded=text,
                metadata=metadata,
            )
        )
        at += len(text) + 1
    return chunks


def ask(text: str, tenant: str = "acme", name: str = "docs", **wish: Any) -> Query:
    """A query of a principal of ``tenant``."""
    groups = wish.pop("groups", ())
    return Query(name, text, Principal("k", tenant=tenant, groups=groups), **wish)


def record(settings: GatewaySettings, version: str, path: str, chunks: int) -> None:
    """The ``documents`` row that ingestion writes."""
    store = Store.open(settings.store.url)
    row = {
        "collection": "docs",
        "version": version,
        "tenant": "acme",
        "path": path,
        "content_hash": "",
        "title": "",
        "chunks": chunks,
        "ingested_unix_ns": 0,
    }
    with store.begin() as db:
        db.execute(insert(documents).values(row))
    store.close()


async def fill(
    client: IndexClient,
    settings: GatewaySettings,
    texts: Iterable[tuple[str, str]],
    rebuild: bool = False,
) -> IndexVersion:
    """Ingest pairs of path and text into ``docs`` for ``acme`` and make the version current."""
    version = await client.begin_version("docs", rebuild)
    for path, text in texts:
        await client.replace("docs", "acme", path, chunks_of(path, text), version.version)
        await asyncio.to_thread(record, settings, version.version, path, 1)
    return await client.switch_version("docs", version.version)


def kill(folder: Path) -> None:
    """``kill -9`` of the index process of a data directory, if there is one; waits for its end."""
    lock = folder / "run/index.lock"
    with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
        pid = int(lock.read_text())
        os.kill(pid, signal.SIGKILL)


@contextlib.asynccontextmanager
async def client_in(settings: GatewaySettings) -> AsyncIterator[IndexClient]:
    """A client, closed at the end."""
    client = IndexClient(settings)
    try:
        yield client
    finally:
        await client.close()


def run(settings: GatewaySettings, body: Callable[[IndexClient], Awaitable[None]]) -> None:
    """Run ``body`` with a client; its index process is killed afterwards."""

    async def whole() -> None:
        async with client_in(settings) as client:
            await body(client)

    try:
        asyncio.run(whole())
    finally:
        kill(settings.data_dir)
