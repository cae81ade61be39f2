"""Guards, what goes out through them, and spellings of what must not."""

from __future__ import annotations

import asyncio
import json
import re
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from guards_world import compiled

from headgate_core.ports import Guards, Stopped
from headgate_core.types import Verdict
from headgate_gateway.replies.clearing import Clearing
from headgate_gateway.replies.sieve import Sieve

ADDRESS = "jane.doe@example.com"
SECRET = "AKIA" + "Q3EGRXKJ2ZMV7WTB"
Json = dict[str, Any]
OWN = {"id": "chatcmpl-own", "model": "asked"}

CHECKS = """
- {name: personal, use: pii, at: [output, tool_calls], action: mask, options: {types: [email]}}
- {name: keys, use: secrets, at: [output, tool_calls], action: block}
"""


@cache
def guards() -> Guards:
    with TemporaryDirectory() as folder:
        return compiled(Path(folder), CHECKS)


def delivered(bodies: list[Json], *, stream: bool) -> tuple[list[Json], list[str]]:
    """What goes out of a guarded reply until a check blocks, and what was taken out."""

    async def run() -> tuple[list[Json], list[str]]:
        verdicts: list[Verdict] = []
        dropped: list[str] = []
        sieve = Sieve(guards(), verdicts, dropped, OWN)
        clearing = Clearing(guards(), sieve, verdicts, stream=stream)
        sent: list[Json] = []
        try:
            for body in bodies:
                out = await clearing.clear(body)
                if out is not None:
                    sent.append(out)
            sent += [rest async for rest in clearing.rest()]
        except Stopped:
            pass
        return sent, dropped

    return asyncio.run(run())


def in_json(forbidden: str) -> list[str]:
    """JSON texts that say it: behind escapes, with escapes for its letters, JSON within JSON."""
    once = json.dumps({"b": f'nr\n"{forbidden}"\t{forbidden}'})
    spelled = f'{{"b":"\\u{ord(forbidden[0]):04x}{forbidden[1:]}"}}'
    return [once, spelled, f"\\n{forbidden}", json.dumps({"body": once}), json.dumps([spelled])]


def meant(value: Any) -> str:
    """All that goes out, with its escapes, those within escapes included, for what they mean."""
    text = json.dumps(value, ensure_ascii=False)
    stages = [text]
    for _ in range(4):
        text = re.sub(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))', _letter, text)
        stages.append(text)
    return " ".join(stages)


def _letter(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else " " if escape[2] in "bfnrt" else escape[2]
