"""HTML files: what a reader sees, laid out as Markdown so that it is cut like Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate_rag.documents import read_text, title_from
from headgate_rag.html_text import HtmlText
from headgate_rag.types import Document


@dataclass
class Html:
    """Reads HTML: headings, lists, tables and code kept; scripts, styles, hidden parts dropped."""

    suffixes: Sequence[str] = (".html", ".htm")

    def load(self, file: Path, path: str) -> Document:
        """Read ``file``. An element's ``id`` is the anchor of its heading.

        Raises ``UnreadableDocument``.
        """
        reader = HtmlText()
        reader.feed(read_text(file, path))
        reader.close()
        headings = tuple(reader.headings)
        first = next((h.text for h in headings if h.level == 1), "")
        metadata = {"language": reader.language} if reader.language else {}
        title = reader.title or first or title_from(file)
        return Document(path, title, reader.text(), headings, metadata)
