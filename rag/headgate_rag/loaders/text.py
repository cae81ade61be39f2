"""Plain text files, taken as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headgate_rag.documents import read_text, title_from
from headgate_rag.types import Document


@dataclass
class Text:
    """Reads plain text; reStructuredText counts as plain. The file name is the title."""

    suffixes: Sequence[str] = (".txt", ".rst")

    def load(self, file: Path, path: str) -> Document:
        """Read ``file``. Raises ``UnreadableDocument``."""
        return Document(path, title_from(file), read_text(file, path))
