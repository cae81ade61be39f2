"""Markdown files: headings with GitHub's anchors, front matter as metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from headgate_rag.anchors import Anchors
from headgate_rag.blocks import blocks
from headgate_rag.documents import UnreadableDocument, read_text, title_from
from headgate_rag.plain import inline
from headgate_rag.types import Document, Heading

_FRONT = re.compile(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass
class Markdown:
    """Reads Markdown: ATX and setext headings, YAML front matter (title, groups, language, ...)."""

    suffixes: Sequence[str] = (".md", ".markdown")

    def load(self, file: Path, path: str) -> Document:
        """Read ``file``. Offsets count from the end of the front matter.

        Raises ``UnreadableDocument``, also for front matter that is not YAML: its ``groups``
        decide who may see the document, so it is never guessed.
        """
        text = read_text(file, path)
        metadata: dict[str, Any] = {}
        if front := _FRONT.match(text):
            metadata = _front_matter(front.group(1), path)
            text = text[front.end() :]
        headings = _headings(text)
        first = next((h.text for h in headings if h.level == 1), "")
        title = str(metadata.pop("title", "") or first or title_from(file))
        return Document(path, title, text, headings, metadata)


def _headings(text: str) -> tuple[Heading, ...]:
    anchors = Anchors()
    found = []
    for block in blocks(text):
        if block.kind == "heading" and (title := inline(block.title)):
            found.append(Heading(block.level, title, anchors.add(title), block.start))
    return tuple(found)


def _front_matter(source: str, path: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise UnreadableDocument(path, f"its front matter is not YAML: {error}.") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableDocument(path, "its front matter is not a set of `name: value` lines.")
    metadata = {str(name): _plain_value(item) for name, item in value.items()}
    if "groups" in metadata:
        metadata["groups"] = _groups(metadata["groups"], path)
    return metadata


def _plain_value(value: Any) -> Any:
    """JSON values only: dates and the like become their text."""
    if isinstance(value, list):
        return [_plain_value(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain_value(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _groups(value: Any, path: str) -> list[str]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(n, str) and n for n in names):
        raise UnreadableDocument(
            path, "its `groups` must be a list of names, like [sales, support]."
        )
    return names
