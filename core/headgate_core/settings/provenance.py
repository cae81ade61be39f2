"""Where each effective value came from: a file and line, a reference, or the default."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

from pydantic import BaseModel

from headgate_core.settings.document import Document, Trail, at, dotted, is_secret, leaves


class Explained(NamedTuple):
    """One line of ``headgate check --show``; ``value`` of a text that came from the environment
    or a file is its reference, because any of them may be a secret, whatever it is called."""

    path: str
    value: Any
    source: str


def effective(settings: BaseModel) -> Any:
    """All values in force as plain JSON values, by the names that files use."""
    return settings.model_dump(mode="json", by_alias=True)


def explain(settings: BaseModel, document: Document) -> list[Explained]:
    """Every effective value with its source, texts from elsewhere by their reference alone."""
    return [
        Explained(
            dotted(trail),
            _referred(trail, value, document) if isinstance(value, str) else value,
            _source(trail, value, document),
        )
        for trail, value in leaves(effective(settings))
    ]


def fingerprint(settings: BaseModel, document: Document) -> str:
    """SHA-256 over the effective values, secrets by their reference; 12 hexadecimal digits."""
    lines = [
        [dotted(trail), _referred(trail, value, document) if _hidden(trail, value) else value]
        for trail, value in leaves(effective(settings))
    ]
    text = json.dumps(sorted(lines), separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _referred(trail: Trail, value: Any, document: Document) -> Any:
    reference = document.reference(trail)
    return value if reference is None else reference


def _hidden(trail: Trail, value: Any) -> bool:
    """Secrets, and addresses that hold a password."""
    return is_secret(trail) or (isinstance(value, str) and "://" in value and "@" in value)


def _source(trail: Trail, value: Any, document: Document) -> str:
    reference = document.reference(trail) or document.moved.get(trail)
    if reference is not None:
        return reference
    if trail in document.places:
        return str(document.places[trail])
    for end in range(len(trail) - 1, 0, -1):
        if trail[:end] in document.places:
            written = at(document.data, trail[:end])
            short_form = isinstance(written, list) or written == value
            return str(document.places[trail[:end]]) if short_form else "default"
    return "default"
