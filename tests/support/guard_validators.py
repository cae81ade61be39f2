"""Validators of guardrails-ai for tests; imported only where the package is installed."""

from __future__ import annotations

import re
from importlib.metadata import version as version
from typing import Any, ClassVar

from guardrails.validator_base import Validator, register_validator
from guardrails_ai.types import ErrorSpan, FailResult, PassResult


@register_validator(name="test/banned", data_type="string")
class Banned(Validator):  # type: ignore[misc]
    """Fails where a word stands, and says where."""

    def __init__(self, word: str, **kwargs: Any) -> None:
        super().__init__(word=word, **kwargs)
        self._word = word

    def _validate(self, value: str, metadata: dict[str, Any]) -> Any:
        spans = [
            ErrorSpan(start=m.start(), end=m.end(), reason="banned")
            for m in re.finditer(re.escape(self._word), value)
        ]
        return FailResult(error_message="banned", error_spans=spans) if spans else PassResult()


@register_validator(name="test/silent", data_type="string")
class Silent(Validator):  # type: ignore[misc]
    """Fails where a word stands, and does not say where."""

    def __init__(self, word: str, **kwargs: Any) -> None:
        super().__init__(word=word, **kwargs)
        self._word = word

    def _validate(self, value: str, metadata: dict[str, Any]) -> Any:
        return FailResult(error_message="banned") if self._word in value else PassResult()


@register_validator(name="test/needy", data_type="string")
class Needy(Validator):  # type: ignore[misc]
    """Wants something of every call."""

    required_metadata_keys: ClassVar[list[str]] = ["user"]


@register_validator(name="test/fragile", data_type="string")
class Fragile(Validator):  # type: ignore[misc]
    """Cannot be built without its weights."""

    def __init__(self, **kwargs: Any) -> None:
        raise RuntimeError("no weights")
