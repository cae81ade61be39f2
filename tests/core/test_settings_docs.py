"""docs/configuration.md and docs/prompts.md cannot fall behind the models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from headgate_core.settings.base import PluginUse
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.members import known, model_of, walk
from headgate_gateway.prompts.front_matter import InputSettings, PromptSettings

DOCS = Path(__file__).parents[2] / "docs"


def members(model: type[BaseModel], base: str, seen: set[type[BaseModel]]) -> Iterator[str]:
    """Every member once: `server.port`, `pools[].name`; below a plain plugin nothing."""
    for name, annotation in known(model).items():
        inner = model_of(annotation)
        step = f"{base}{name}"
        if inner is None:
            item = next((n.annotation for n in walk(annotation, [None]) if n.trail == (0,)), None)
            inner = model_of(item)
            below = f"{step}[]."
        else:
            below = f"{step}."
        if inner is None or inner is PluginUse or inner in seen:
            yield step
            continue
        yield from members(inner, below, {*seen, inner})


MEMBERS = sorted(set(members(GatewaySettings, "", set())))


def test_the_walk_finds_members_at_every_depth() -> None:
    for name in ("server.log.level", "pools[].targets[].weight", "routes[].retrieval.weights.bm25"):
        assert name in MEMBERS


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_of_the_gateway_file_is_in_the_reference(name: str) -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    names = {name, name.replace("routes[].scores[]", "defaults.scores[]")}
    if name.startswith("teams[].limits."):
        names.add("teams[].limits")
    assert any(f"`{one}`" in page for one in names), f"docs/configuration.md lacks `{name}`"


def test_the_reference_speaks_of_no_member_that_is_not_there() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- `([a-z_\[\].0-9]+)` \(", page, re.MULTILINE)
    holders = {part for name in MEMBERS for part in _above(name)}
    assert listed
    assert [name for name in listed if name not in {*MEMBERS, *holders}] == []


def _above(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name
        yield name.removesuffix("[]")


def test_every_example_in_the_reference_is_valid_yaml_of_known_members() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) > 10
    for example in examples:
        for name in yaml.safe_load(example):
            assert name in GatewaySettings.model_fields


@pytest.mark.parametrize("name", [*known(PromptSettings), *known(InputSettings)])
def test_every_member_of_a_prompts_head_is_in_its_guide(name: str) -> None:
    page = (DOCS / "prompts.md").read_text(encoding="utf-8")
    assert re.search(rf"`{name}\b|^{name}:|^  {name}:", page, re.MULTILINE), name
