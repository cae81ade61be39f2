"""What ingestion passes along: documents as loaded, chunks as cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from headgate_core.types import Principal


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a document: its level (1..6), text, anchor and character offset in the text."""

    level: int
    text: str
    anchor: str
    start: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document as loaded. ``path`` identifies it within its collection (relative, with ``/``).

    All offsets anywhere in Headgate are character offsets into ``text``.
    """

    path: str
    title: str
    text: str
    headings: tuple[Heading, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: characters ``[start, end)`` of its text, under ``heading`` (a trail).

    ``embedded`` is what is embedded and searched: the text with its title and headings before it.
    """

    document: str
    ordinal: int
    text: str
    start: int
    end: int
    title: str
    heading: tuple[str, ...]
    anchor: str
    embedded: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text: where each stands, and an array of their unit-length vectors."""

    spans: tuple[tuple[int, int], ...]
    vectors: Any


class Loader(Protocol):
    """Turns a file into a document. ``suffixes`` lists the file endings that it reads."""

    suffixes: Sequence[str]

    def load(self, file: Path, path: str) -> Document:
        """Read ``file`` as the document ``path``. Raises ``UnreadableDocument``."""
        ...


class Chunker(Protocol):
    """Cuts a document into chunks that cover all of its text that says something."""

    def cut(self, document: Document) -> list[Chunk]:
        """The chunks in order; ordinals count from 0."""
        ...


class EmbeddingModel(Protocol):
    """An embedding model, loaded in the index process.

    A model may also have ``tokens(texts) -> list[Tokens]``: a vector for each token in its
    context. Without it, texts are compared word by word, each word embedded by itself.
    """

    @property
    def fingerprint(self) -> str:
        """Names model and weights; another fingerprint means another index version."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def load(self) -> None:
        """Load the weights (slow, once). Raises ``ConfigurationError`` when they are not right."""
        ...

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit-length vectors, one per text, in order. Blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """One hybrid query. The tenant and groups come from the principal, never from a request."""

    collection: str
    text: str
    principal: Principal
    top_k: int = 5
    candidates: int = 50
    dense_weight: float = 1.0
    bm25_weight: float = 1.0
    min_score: float = 0.0
    where: Mapping[str, str | int | bool] = field(default_factory=dict)


class VectorIndex(Protocol):
    """One index version on disk, opened by its single owner. All methods block.

    Points carry tenant, document path, ordinal and the chunk's members as payload. Every read
    takes the one filter that ``tenant_filter`` of its module builds; there is no unfiltered read.
    An index may also have ``damage(folder) -> str``: what is visibly wrong with files that no
    process has to have open, empty where nothing is. Ingestion asks it before each run.
    """

    def open(self, folder: Path, dimension: int) -> None:
        """Open or create. Raises ``BrokenIndex`` with how to rebuild; never an empty index."""
        ...

    def replace(
        self, tenant: str, document: str, chunks: Sequence[Chunk], vectors: Sequence[list[float]]
    ) -> None:
        """Put the document's chunks in, then remove what it had before. Idempotent."""
        ...

    def delete(self, tenant: str, document: str) -> None:
        """Remove a document."""
        ...

    def query(self, query: Query, vector: list[float], tenant: str) -> list[Mapping[str, Any]]:
        """Hits ``{id, payload, scores: {dense, bm25, rrf}, score}``, best first; RRF, k = 60."""
        ...

    def count(self) -> int:
        """Points in the index, all tenants."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...
