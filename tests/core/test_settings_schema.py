"""The JSON Schemas in configs/schemas: up to date, and true to what the loader accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headgate_core.settings import schema

FOLDER = Path(__file__).parents[2] / "configs" / "schemas"


@pytest.mark.parametrize("name", sorted(schema.FILES))
def test_the_written_schema_is_what_the_models_say(name: str) -> None:
    written = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert written == schema.text(name), "run: python -m headgate_core.settings.schema"


def test_short_forms_and_references_are_allowed() -> None:
    made: dict[str, Any] = json.loads(schema.text("gateway"))
    plugin = made["$defs"]["PluginUse"]["anyOf"]
    assert {"type": "string"} in plugin
    port = made["$defs"]["ServerSettings"]["properties"]["port"]["anyOf"]
    assert [one["type"] for one in port] == ["integer", "string"]
    assert made["$defs"]["ServerSettings"]["additionalProperties"] is False


def test_schemas_are_written_to_a_folder(tmp_path: Path) -> None:
    files = schema.write(tmp_path / "schemas")
    assert sorted(file.name for file in files) == [f"{name}.json" for name in sorted(schema.FILES)]
