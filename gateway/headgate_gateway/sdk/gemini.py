"""Gemini's replies in one piece: the SDK throws away what came where a filter ended the answer."""

from __future__ import annotations

import importlib
from typing import Any

from headgate_core.types import Json


def read_gemini() -> None:
    """Let the SDK read a filtered reply like every other: its streams have text and thoughts."""
    google: Any = importlib.import_module(
        "litellm.llms.vertex_ai.gemini.vertex_and_google_ai_studio_gemini"
    )

    def none_flagged(config: Any) -> Json:
        return {}

    google.VertexGeminiConfig.get_flagged_finish_reasons = none_flagged
