"""Guards for tests: policies written into a folder, and compiled as the builder would."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from headgate_core import plugins
from headgate_core.ports import Guards, Stopped, Tools
from headgate_core.settings.base import PluginUse
from headgate_core.types import At, Verdict
from headgate_guardrails.guards import Guards as Capability


def capability(folder: Path) -> Capability:
    """The ``guards`` capability over the policies in ``folder/guardrails``."""

    def plugin(kind: str, use: PluginUse) -> Any:
        return plugins.build(kind, use.use, use.options)

    made = Capability()
    tools = SimpleNamespace(settings=SimpleNamespace(folder=folder), plugin=plugin)
    made.bind(cast(Tools, tools))
    return made


def compiled(folder: Path, checks: str, name: str = "test", head: str = "") -> Guards:
    """A policy of ``checks`` (YAML list items), compiled."""
    write(folder, checks, name, head)
    return capability(folder).compile([name])


def write(folder: Path, checks: str, name: str = "test", head: str = "") -> Path:
    """Write a policy file and return its path."""
    path = folder / "guardrails" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    items = "\n".join(f"  {line}" for line in checks.strip().splitlines())
    path.write_text(f"name: {name}\n{head}\nchecks:\n{items}\n", encoding="utf-8")
    return path


class Outcome(tuple[Any, ...]):
    """What a caller can tell of a guarded text: what came out, who stopped it, the verdicts."""


def verdicts_of(verdicts: Sequence[Verdict]) -> tuple[Any, ...]:
    """Verdicts without their times."""
    return tuple((v.policy, v.check, v.at, v.action, v.mode, v.kinds, v.error) for v in verdicts)


def unsplit(guards: Guards, text: str, at: At = "output") -> tuple[str | None, str, Any]:
    """The whole text at once: (delivered, stopped by, verdicts)."""
    verdicts: list[Verdict] = []
    try:
        out = asyncio.run(guards.check(at, text, "choice 0", verdicts))
    except Stopped as stop:
        return None, f"{stop.policy}/{stop.check}", verdicts_of(verdicts)
    return out, "", verdicts_of(verdicts)


def streamed(guards: Guards, pieces: Sequence[str], at: At = "output") -> tuple[str, str, Any]:
    """The text in pieces: (delivered, stopped by, verdicts); what went out before a stop counts."""
    return asyncio.run(_stream(guards, pieces, at))


async def _stream(guards: Guards, pieces: Sequence[str], at: At) -> tuple[str, str, Any]:
    verdicts: list[Verdict] = []
    state = guards.stream(at, "choice 0", verdicts)
    out = ""
    try:
        for piece in pieces:
            out += await state.feed(piece)
        out += await state.flush()
    except Stopped as stop:
        return out, f"{stop.policy}/{stop.check}", verdicts_of(verdicts)
    return out, "", verdicts_of(verdicts)


def every_cut(text: str) -> Iterator[list[str]]:
    """The text cut in two at every position, in single characters, and in random pieces."""
    for at in range(len(text) + 1):
        yield [text[:at], text[at:]]
    yield list(text)
    for seed in range(20):
        yield random_cut(text, seed)


def random_cut(text: str, seed: int) -> list[str]:
    """The text in pieces of random length, the same ones for the same seed."""
    chance = random.Random(seed)
    pieces = []
    at = 0
    while at < len(text):
        size = chance.choice((1, 1, 2, 3, 5, 8, 13, 40, 200))
        pieces.append(text[at : at + size])
        at += size
    return pieces
