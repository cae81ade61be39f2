"""Cases in files beside the suite: ``.jsonl``, ``.csv`` and ``.yaml``, with the line of each."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from headgate_core.errors import ConfigurationError, Problem
from headgate_core.settings import yaml_source
from headgate_core.settings.document import Document, Place, Trail

_JSON_CELLS = ("messages", "inputs", "assert")
_INPUT = "inputs."


class _Row(NamedTuple):
    line: int
    value: Any


class _BadRow(ValueError):
    """A row that cannot be read at all; ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read(path: Path) -> Document:
    """The rows of ``path`` as the member ``cases`` of a document.

    Raises ``ConfigurationError`` when the file cannot be read or its kind is not known.
    """
    if path.suffix in (".yaml", ".yml"):
        return _yaml(path)
    readers: dict[str, Callable[[str], Iterator[_Row]]] = {".jsonl": _jsonl, ".csv": _csv}
    if path.suffix not in readers:
        raise ConfigurationError(
            f"{path}: data files end in .jsonl, .csv or .yaml; this version reads no other kind."
        )
    document = Document(path, {"cases": []}, {(): Place(path, 1)})
    try:
        for row in readers[path.suffix](_text(path)):
            _add(document, row)
    except _BadRow as error:
        document.problems.append(Problem(path, error.line, str(error)))
    return document


def _add(document: Document, row: _Row) -> None:
    cases = document.data["cases"]
    trail: Trail = ("cases", len(cases))
    place = Place(document.file, row.line)
    document.places[trail] = place
    for member in row.value if isinstance(row.value, dict) else ():
        document.places[(*trail, member)] = place
    cases.append(row.value)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text: {error}.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _yaml(path: Path) -> Document:
    document = yaml_source.read(path)
    if isinstance(document.data, list):
        document.data = {"cases": document.data}
        document.places = {
            ("cases", *trail) if trail else (): place for trail, place in document.places.items()
        }
    return document


def _jsonl(text: str) -> Iterator[_Row]:
    for line, row in enumerate(text.split("\n"), 1):
        if row.strip():
            yield _Row(line, _json(row, line, "the line"))


def _json(text: str, line: int, what: str) -> Any:
    try:
        return json.loads(
            text, parse_float=Decimal, object_pairs_hook=_object, parse_constant=_constant
        )
    except ValueError as error:
        raise _BadRow(line, f"{what} is not JSON: {error}.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the member {twice!r} is there twice")
    return members


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _csv(text: str) -> Iterator[_Row]:
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    try:
        for cells in reader:
            yield _Row(reader.line_num, _case(cells, reader.line_num))
    except csv.Error as error:
        raise _BadRow(reader.line_num, f"the line is not CSV: {error}.") from error


def _case(cells: dict[str | Any, Any], line: int) -> dict[str, Any]:
    """Empty cells are left out; ``inputs.NAME`` columns become the inputs."""
    if None in cells or None in cells.values():
        raise _BadRow(line, "the line has more or fewer cells than the header.")
    case: dict[str, Any] = {}
    for name, text in cells.items():
        if text.strip():
            _cell(case, name.strip(), text, line)
    return case


def _cell(case: dict[str, Any], name: str, text: str, line: int) -> None:
    if name in _JSON_CELLS:
        case[name] = _json(text, line, f"the cell `{name}`")
    elif name.startswith(_INPUT):
        case.setdefault("inputs", {})[name.removeprefix(_INPUT)] = text
    elif name == "tags":
        case[name] = text.replace(",", " ").replace(";", " ").split()
    elif text.lower() in ("true", "false") and name == "smoke":
        case[name] = text.lower() == "true"
    else:
        case[name] = text
