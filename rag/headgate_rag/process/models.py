"""The embedding models that were asked for, loaded once each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import orjson

from headgate_core import plugins
from headgate_core.errors import ServiceError
from headgate_core.settings.base import PluginUse
from headgate_rag.types import EmbeddingModel


class Models:
    """Embedding models by their configuration. All methods block: for the worker thread."""

    def __init__(self) -> None:
        self._loaded: dict[bytes, EmbeddingModel] = {}

    def get(self, use: PluginUse) -> EmbeddingModel:
        """The loaded model. Raises ``ConfigurationError`` when it cannot be loaded."""
        key = orjson.dumps(use.model_dump(), option=orjson.OPT_SORT_KEYS)
        if key not in self._loaded:
            model: EmbeddingModel = plugins.build("embedders", use.use, use.options)
            model.load()
            self._loaded[key] = model
        return self._loaded[key]

    def fingerprints(self) -> list[str]:
        """What is loaded."""
        return [model.fingerprint for model in self._loaded.values()]


def encode(model: EmbeddingModel, texts: Sequence[str]) -> list[list[float]]:
    """One vector per text. Raises ``ServiceError`` for anything else that the model returns."""
    vectors = model.encode(texts)
    if len(vectors) != len(texts):
        raise ServiceError(
            f"The embedder {model.fingerprint} returned {len(vectors)} vectors for {len(texts)} "
            "texts; nothing is written."
        )
    for vector in vectors:
        if len(vector) != model.dimension or not all(map(math.isfinite, vector)):
            raise ServiceError(
                f"The embedder {model.fingerprint} returned a vector of {len(vector)} numbers "
                f"(some may be no numbers); {model.dimension} are expected. Nothing is written."
            )
    return vectors
