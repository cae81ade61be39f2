"""An embedded index of three dimensions, and short ways to write into it and ask it."""

from __future__ import annotations

from typing import Any

from headgate_core.types import Principal
from headgate_rag.indexes.embedded import Embedded
from headgate_rag.types import Chunk, Query

X, Y, Z = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


def chunk(text: str, document: str = "d", ordinal: int = 0, **metadata: Any) -> Chunk:
    return Chunk(
        document=document,
        ordinal=ordinal,
        text=text,
        start=10,
        end=10 + len(text),
        title="Title",
        heading=("One", "Two"),
        anchor="two",
        embedded=text,
        metadata=metadata,
    )


def ask(text: str, tenant: str = "t", groups: tuple[str, ...] = (), **wish: Any) -> Query:
    return Query("c", text, Principal("k", tenant=tenant, groups=groups), **wish)


def documents(hits: list[Any]) -> list[str]:
    return [hit["payload"]["document"] for hit in hits]


def put(index: Embedded, document: str, text: str, vector: list[float], **more: Any) -> None:
    tenant = more.pop("tenant", "t")
    index.replace(tenant, document, [chunk(text, document, **more)], [vector])
