"""A file as read: its plain values, and for every path in them the file and line it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from headgate_core.errors import Problem

Trail: TypeAlias = tuple[str | int, ...]
"""Where a value is: member names and list positions from the top."""

_SECRET = re.compile(
    r"(^|_)(api_?keys|key|secret|password|passphrase|token|credentials?|cookie|authorization)$"
    r"|(api|access|secret|private)keys?$|bearer"
)
"""In names in lower case, with ``_`` for ``-``."""
_NO_SECRET = re.compile(r"^(max|min|num|n)_.*token$|(^|_)cache_key$")
"""``max_token`` limits a number of tokens, and OpenAI's ``prompt_cache_key`` groups requests."""
_SELECTS = frozenset({"where", "metadata"})
"""Below these a member ``key`` is a name that people gave: of a document's field, or a label."""


class Place(NamedTuple):
    """A file and a line in it, counted from 1."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass
class Document:
    """Values, places, and what was found wrong so far.

    ``references`` maps the path of a value that came from elsewhere to its text in the file,
    e.g. ``env:OPENAI_KEY``; showing anything of such a text means showing the reference.
    """

    file: Path
    data: Any
    places: dict[Trail, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    references: dict[Trail, str] = field(default_factory=dict)
    moved: dict[Trail, str] = field(default_factory=dict)
    """Values that the environment set over a default: the reference that would have said so."""
    broken: set[Trail] = field(default_factory=set)
    """Paths whose value could not be had; their fault is noted once, not again as a wrong value."""

    def place(self, trail: Trail) -> Place:
        """Where ``trail`` stands, or the nearest thing above it that stands anywhere."""
        for end in range(len(trail), -1, -1):
            if trail[:end] in self.places:
                return self.places[trail[:end]]
        return Place(self.file, 1)

    def problem(self, trail: Trail, message: str) -> None:
        """Note a fault at ``trail``."""
        self.problems.append(Problem(*self.place(trail), message))

    def drop(self, trail: Trail) -> None:
        """Take a member out, so that the rest can still be checked."""
        holder = at(self.data, trail[:-1])
        if isinstance(holder, dict):
            holder.pop(trail[-1], None)

    def reference(self, trail: Trail) -> str | None:
        """The reference that the value at ``trail``, or the whole of what holds it, came from."""
        for end in range(len(trail), 0, -1):
            if trail[:end] in self.references:
                return self.references[trail[:end]]
        return None


def at(data: Any, trail: Trail) -> Any:
    """The value at ``trail``, or None where there is none."""
    for part in trail:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def leaves(data: Any, trail: Trail = ()) -> Iterator[tuple[Trail, Any]]:
    """Every scalar, and every empty list or mapping, with its path."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*trail, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, (*trail, index))
    else:
        yield trail, data


def dotted(trail: Trail) -> str:
    """``pools[0].targets[1].model``: a path as people write it."""
    text = ""
    for part in trail:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def is_secret(trail: Trail) -> bool:
    """Whether the nearest member name says that the value must never be shown or written out."""
    names = [part for part in trail if isinstance(part, str)]
    name = names[-1].lower().replace("-", "_") if names else ""
    if name == "key" and _SELECTS.intersection(names):
        return False
    return _SECRET.search(name) is not None and _NO_SECRET.search(name) is None
