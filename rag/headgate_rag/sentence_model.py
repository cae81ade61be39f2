"""What embedders built on sentence-transformers share: loading and encoding, offline, on CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import missing_extra

MOST_THREADS = 4
"""More threads gain nothing for models this small, and serving needs the cores."""


class SentenceModel:
    """A loaded sentence-transformers model. All methods block."""

    def __init__(self, name: str, local_files_only: bool, device: str) -> None:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar
        except ModuleNotFoundError as error:
            raise missing_extra((error.name or "sentence_transformers").split(".")[0]) from error
        quiet: Any = disable_progress_bar
        quiet()
        torch.set_num_threads(min(MOST_THREADS, len(os.sched_getaffinity(0))))
        try:
            self._model: Any = SentenceTransformer(
                name, device=device, local_files_only=local_files_only
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"The embedding model {name!r} cannot be loaded: {error}"
            ) from error
        self._window = int(self._model.max_seq_length) - 2  # two special tokens
        self.dimension = int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit-length vectors, one per text. A text over the window is embedded in parts."""
        import numpy as np

        parts = [self._parts(text) for text in texts]
        flat = [part for pieces in parts for part in pieces]
        vectors = self._model.encode(
            flat, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        result: list[list[float]] = []
        at = 0
        for pieces in parts:
            mean: Any = np.mean(vectors[at : at + len(pieces)], axis=0, dtype=np.float64)
            at += len(pieces)
            length = max(float(np.linalg.norm(mean)), 1e-12)
            result.append([float(number) / length for number in mean])
        return result

    def _parts(self, text: str) -> list[str]:
        """The text cut at the model's window, because what is beyond would be ignored silently."""
        if len(text) <= self._window:
            return [text]  # a token is at least one character
        encoded = self._model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        spans = encoded["offset_mapping"]
        if len(spans) <= self._window:
            return [text]
        return [
            text[spans[at][0] : spans[min(at + self._window, len(spans)) - 1][1]]
            for at in range(0, len(spans), self._window)
        ]
