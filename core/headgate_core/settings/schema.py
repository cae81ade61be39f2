"""JSON Schemas of the files that people write.

``python -m headgate_core.settings.schema [FOLDER]`` writes them. Editors complete and check by
them; a test fails when a written schema is behind its model.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from headgate_core.plugins import load_class
from headgate_core.settings.members import known, model_of

FILES = {
    "gateway": "headgate_core.settings.gateway:GatewaySettings",
    "policy": "headgate_guardrails.policy:PolicySettings",
    "prompt": "headgate_gateway.prompts.front_matter:PromptSettings",
    "suite": "headgate_evals.suite:SuiteSettings",
}
"""Schema name -> ``module:Class``. Add a line for every further kind of file."""

REFERENCE = {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*(:-.*)?|file:.+)$"}
"""Any value may be a reference, whatever its type."""


def schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a settings model, short forms and references allowed."""
    made = model.model_json_schema(by_alias=True)
    definitions = made.pop("$defs", {})
    owners = {owner.__name__: owner for owner in _models(model)}
    for name, definition in definitions.items():
        _open(definition)
        definitions[name] = _with_short_form(owners.get(name), definition)
    _open(made)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "$defs": definitions,
    }


def write(folder: Path) -> list[Path]:
    """Write all schemas to ``folder``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in FILES:
        path = folder / f"{name}.json"
        path.write_text(text(name), encoding="utf-8")
        written.append(path)
    return written


def text(name: str) -> str:
    """The schema file of one kind as text."""
    model = load_class("schema", FILES[name])
    return json.dumps(schema(model), indent=2, ensure_ascii=False) + "\n"


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    """``model`` and every model below it."""
    found: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for annotation in known(one).values():
            for part in (annotation, *getattr(annotation, "__args__", ())):
                inner = model_of(part)
                if inner is not None:
                    waiting.append(inner)
    return found


def _open(definition: dict[str, Any]) -> None:
    """Let every member that is not text already be a reference as well."""
    members = definition.get("properties", {})
    for name, member in members.items():
        if member.get("type") in ("integer", "number", "boolean"):
            kept = {key: member.pop(key) for key in ("title", "default") if key in member}
            members[name] = {**kept, "anyOf": [member, REFERENCE]}


def _with_short_form(owner: type[BaseModel] | None, definition: dict[str, Any]) -> dict[str, Any]:
    """``NAME`` for ``{use: NAME}`` and the like: models that accept something shorter."""
    short: dict[str, Any] | None = getattr(owner, "short_form", None)
    return {"anyOf": [short, definition]} if short else definition


if __name__ == "__main__":
    for file in write(Path(sys.argv[1] if len(sys.argv) > 1 else "configs/schemas")):
        print(file)
