"""What embedders built on sentence-transformers share: loading and encoding, offline, on CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import missing_extra
from headgate_rag.types import Tokens

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

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text with the vectors of the last layer, special ones left out.

        A text over the window is read in parts. Source of the method: the model's own outputs
        before they are averaged to the vector of the text.
        """
        import numpy as np

        parts = [self._spans(text) for text in texts]
        flat = [text[a:b] for text, spans in zip(texts, parts, strict=True) for a, b in spans]
        read = iter(self._token_vectors(flat))
        result: list[Tokens] = []
        for spans in parts:
            here = [(start, *next(read)) for start, _ in spans]
            places = tuple((start + a, start + b) for start, own, _ in here for a, b in own)
            result.append(Tokens(places, np.concatenate([vectors for _, _, vectors in here])))
        return result

    def _token_vectors(self, texts: Sequence[str]) -> list[tuple[list[tuple[int, int]], Any]]:
        """Of each text within the window: where its tokens stand, and their vectors."""
        import numpy as np

        outputs = self._model.encode(
            texts, batch_size=32, output_value="token_embeddings", show_progress_bar=False
        )
        found = []
        for text, output in zip(texts, outputs, strict=True):
            encoded = self._model.tokenizer(
                text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False
            )
            use = [n for n, special in enumerate(encoded["special_tokens_mask"]) if not special]
            vectors = np.asarray(output)[use]
            lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            found.append(([tuple(encoded["offset_mapping"][n]) for n in use], vectors / lengths))
        return found

    def _parts(self, text: str) -> list[str]:
        """The text cut at the model's window, because what is beyond would be ignored silently."""
        return [text[start:end] for start, end in self._spans(text)]

    def _spans(self, text: str) -> list[tuple[int, int]]:
        if len(text) <= self._window:
            return [(0, len(text))]  # a token is at least one character
        encoded = self._model.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        spans = encoded["offset_mapping"]
        if len(spans) <= self._window:
            return [(0, len(text))]
        return [
            (spans[at][0], spans[min(at + self._window, len(spans)) - 1][1])
            for at in range(0, len(spans), self._window)
        ]
