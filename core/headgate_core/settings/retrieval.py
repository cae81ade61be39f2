"""``collections`` and a route's ``retrieval``."""

from __future__ import annotations

from pathlib import Path
from string import Formatter
from typing import Any, ClassVar, Literal

from pydantic import Field

from headgate_core.plugins import unknown
from headgate_core.settings.base import PluginUse, Settings

LINK_FIELDS = ("path", "anchor", "title")
"""What ``{...}`` may stand in a collection's ``link``."""


class CollectionSettings(Settings):
    """A set of documents: how they are cut, embedded and indexed."""

    planned: ClassVar[dict[str, str]] = {"queries": "judging new index versions by a query set"}
    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")
    sources: list[Path] = Field(default=[])
    """Files and folders that ``headgate ingest NAME`` reads when it is given no paths."""
    embedder: PluginUse = PluginUse(use="minilm")
    index: PluginUse = PluginUse(use="embedded")
    chunker: PluginUse = PluginUse(use="structure")
    tenancy: Literal["shared", "per_tenant"] = "shared"
    link: str = ""
    """Where a citation opens; ``{path}``, ``{anchor}``, ``{title}`` are filled in."""


def link_fault(link: str) -> str:
    """What is wrong with a collection's ``link``, as a sentence; empty where nothing is."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(link) if name is not None]
    except ValueError as error:
        return f"{link!r} cannot be filled in: {error}."
    faults = (unknown("field", name, LINK_FIELDS) for name in names if name not in LINK_FIELDS)
    return next(faults, "")


class WeightSettings(Settings):
    """Weights of the two lists in the fusion."""

    dense: float = Field(default=1.0, ge=0)
    bm25: float = Field(default=1.0, ge=0)


class RetrievalSettings(Settings):
    """How a route finds passages."""

    planned: ClassVar[dict[str, str]] = {
        "expand": "widening passages to their parents",
        "query: rewrite": "rewriting the query by a model",
        "rerank: cross_encoder": "reranking",
    }
    collection: str
    use: str = "hybrid"
    options: dict[str, Any] = Field(default={})
    query: Literal["last_user_message", "all_user_turns"] = "all_user_turns"
    top_k: int = Field(default=5, ge=1, le=100)
    candidates: int = Field(default=50, ge=1, le=1000)
    """Per list, before fusion."""
    weights: WeightSettings = WeightSettings()
    rerank: Literal["none"] = "none"
    min_score: float = 0.0
    """Least dense similarity (cosine, -1..1) of the best passage; below it the result is empty."""
    where: dict[str, str | int | bool] = Field(default={})
    when_empty: Literal["answer", "refuse"] = "answer"
    on_error: Literal["refuse", "degrade"] = "refuse"
