"""The published schemas of replies, and validation against them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped]
import yaml
from pydantic import BaseModel

FOLDER = Path(__file__).resolve().parent.parent / "gateway" / "openai_schemas"
FILES: dict[str, Any] = {p.stem: yaml.safe_load(p.read_text()) for p in FOLDER.glob("*.yaml")}


def check(value: Any, file: str, name: str) -> None:
    """Raises ``AssertionError`` that says where ``value`` is not what ``name`` promises."""
    definitions = FILES[file]["$defs"]
    assert name in definitions, f"{file} has no {name!r}: {value}"
    schema = {"$defs": definitions, "$ref": f"#/$defs/{name.replace('/', '~1')}"}
    found = jsonschema.Draft202012Validator(schema).iter_errors(value)
    problems = [f"{error.json_path}: {error.message}" for error in found]
    assert not problems, f"{file} {name}: {problems}\n{value}"


def check_events(events: list[Any], file: str) -> None:
    """Every event is what its ``type`` promises."""
    for event in events:
        check(event, file, event["type"])


def typed(schema: Any) -> Iterator[tuple[type[BaseModel], dict[str, Any]]]:
    """Every part of a schema that names a class of an official client, with that class."""
    if isinstance(schema, dict):
        if "x-type" in schema:
            module, _, name = schema["x-type"].partition(":")
            yield getattr(importlib.import_module(module), name), schema
        for inner in schema.values():
            yield from typed(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from typed(inner)


def literals(annotation: Any) -> set[Any]:
    """The texts that a type allows, where it is made of texts; else the empty set."""
    arguments = get_args(annotation)
    texts = {a for a in arguments if isinstance(a, str)}
    return texts.union(*(literals(a) for a in arguments if not isinstance(a, str)))
