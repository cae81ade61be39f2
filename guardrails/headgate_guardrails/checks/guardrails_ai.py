"""Validators of the guardrails-ai package as checks; the package is imported when one is named."""

from __future__ import annotations

import asyncio
import importlib
import threading
from dataclasses import dataclass, field
from typing import Any, ClassVar

from headgate_core.errors import ConfigurationError
from headgate_core.types import At, Span
from headgate_guardrails.quiet import silence_guardrails_ai


@dataclass
class GuardrailsAi:
    """A guardrails-ai Validator, ``module:Class``, run in process on pieces of the text.

    ``window``: the longest finding in characters; the validator sees pieces of twice that length.
    ``spans``: the validator reports error spans; needed for the action ``mask``.
    """

    validator: str
    arguments: dict[str, Any] = field(default_factory=dict)
    window: int = 1000
    spans: bool = False

    version: ClassVar[str] = "1"

    def __post_init__(self) -> None:
        self.gives_spans = self.spans
        # Validators keep state between calls, so one must never run twice at the same time.
        self._lock = threading.Lock()
        self._validator = self._built()
        self._kind = str(self._validator.rail_alias).rpartition("/")[2]

    async def find(self, text: str, at: At) -> list[Span]:
        """The error spans of a failed validation; without ``spans`` all of ``text`` is the finding.

        Raises ``ValueError`` when spans were promised and none came.
        """
        result = await asyncio.to_thread(self._validate, text)
        if result.outcome != "fail":
            return []
        if not self.spans:
            return [Span(0, len(text), self._kind)]
        if not result.error_spans:
            raise ValueError("the validator failed the text without saying where")
        return [Span(s.start, s.end, self._kind) for s in result.error_spans]

    def _validate(self, text: str) -> Any:
        with self._lock:
            return self._validator.validate(text, {})

    def _built(self) -> Any:
        silence_guardrails_ai()
        from guardrails.types.on_fail import OnFailAction
        from guardrails.validator_base import Validator

        found = _load(self.validator)
        needed = getattr(found, "required_metadata_keys", None)
        if not (isinstance(found, type) and issubclass(found, Validator)):
            raise ConfigurationError(f"validator {self.validator!r} is no guardrails-ai Validator.")
        if needed:
            raise ConfigurationError(
                f"validator {self.validator!r} needs metadata of each call "
                f"({', '.join(needed)}), which a policy cannot give."
            )
        fault = ""
        try:
            return found(**self.arguments, on_fail=OnFailAction.NOOP)
        except Exception as error:  # noqa: BLE001 - foreign code; what it says is for the operator
            fault = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"validator {self.validator!r} cannot be built: {fault}")


def _load(path: str) -> Any:
    module_name, _, name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"validator {path!r}: cannot import {module_name!r}: {error}. "
            f"Validators are packages of their own, called guardrails-ai-NAME."
        ) from error
    if not hasattr(module, name):
        raise ConfigurationError(f"validator {path!r}: {module_name} has no class {name!r}.")
    return getattr(module, name)
