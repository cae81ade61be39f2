"""Any sentence-transformers model, by the path of its folder or by its name in the local cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headgate_rag.sentence_model import SentenceModel
from headgate_rag.types import Tokens


@dataclass
class SentenceTransformers:
    """Any sentence-transformers model: ``model`` is a folder or a name in the local cache.

    With ``local_files_only: false`` a missing model may be fetched, if the environment variables
    HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE are both set to 0.
    """

    model: str
    local_files_only: bool = True
    device: str = "cpu"
    _model: SentenceModel | None = field(default=None, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """The name, or for a folder a digest over the files in it."""
        folder = Path(self.model)
        if not folder.is_dir():
            return f"sentence-transformers:{self.model}"
        return f"sentence-transformers:{folder.name}@{_digest(folder)}"

    @property
    def dimension(self) -> int:
        """Length of a vector; loads the model."""
        return self._loaded().dimension

    def load(self) -> None:
        """Load the weights. Raises ``ConfigurationError`` or ``MissingExtra``."""
        self._model = SentenceModel(self.model, self.local_files_only, self.device)

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit-length vectors, one per text, in order. Blocks."""
        return self._loaded().encode(texts)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """A unit-length vector for each token of each text, in its context. Blocks."""
        return self._loaded().tokens(texts)

    def _loaded(self) -> SentenceModel:
        if self._model is None:
            self.load()
        assert self._model is not None
        return self._model


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        with file.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        total.update(f"{file.relative_to(folder)}\0{digest}\n".encode())
    return total.hexdigest()
