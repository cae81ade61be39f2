"""Which files settings were read from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headgate_core.settings.document import Document, leaves
from headgate_core.settings.gateway import GatewaySettings

LONGEST = 200
"""Characters of a value that may be the path of a file."""


def files_of(settings: GatewaySettings) -> set[Path]:
    """The files that members stand in, ``file:PATH`` references, and files that values name."""
    document = settings._document
    if document is None:
        raise ValueError("these settings were not read from a file")
    written = {place.file for place in document.places.values()}
    return {*written, *_referred(document), *_named(document, settings.folder)}


def file_options(options: Mapping[str, Any]) -> dict[str, str]:
    """The options that are the path of a file by their name, such as ``ca_file``."""
    return {
        name: value
        for name, value in options.items()
        if name.endswith("_file") and isinstance(value, str) and value
    }


def _referred(document: Document) -> Iterator[Path]:
    for trail, text in document.references.items():
        if text.startswith("file:"):
            folder = document.place(trail).file.parent
            yield folder / Path(text.removeprefix("file:")).expanduser()


def _named(document: Document, folder: Path) -> Iterator[Path]:
    """A plugin's option may be a path, e.g. of a rubric: those that lead to a file are it."""
    for _, value in leaves(document.data):
        if isinstance(value, str) and 0 < len(value) <= LONGEST and (folder / value).is_file():
            yield folder / value
