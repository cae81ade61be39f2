"""The names that spans carry: one data file a profile, so that a rename upstream is one line."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Literal, TypedDict, cast

FILES = {"semconv-1.41.1": "semconv_1_41_1.json"}
"""Profiles of ``telemetry.profile`` and their tables, beside this module."""


class StageNames(TypedDict, total=False):
    """What a stage is in the convention, and which texts its verdicts are about."""

    operation: str
    kind: Literal["CLIENT", "INTERNAL"]
    guards: list[str]


class Profile(TypedDict):
    """One table: our word for a thing to its standard name.

    ``operations`` are by purpose, else by the endpoint that was called (``endpoints``), else
    ``chat``; ``providers`` are by our name of a provider or a model's prefix.
    """

    schema_url: str
    names: dict[str, str]
    operations: dict[str, str]
    endpoints: dict[str, str]
    providers: dict[str, str]
    stages: dict[str, StageNames]


@cache
def profile(name: str = "semconv-1.41.1") -> Profile:
    """The table of a profile. Raises ``KeyError`` for one that there is not."""
    text = files(__package__).joinpath(FILES[name]).read_text(encoding="utf-8")
    return cast(Profile, json.loads(text))
