"""The documentation as tests see it: pages, their fenced blocks, and one script a page.

What a reader would type is typed: ``bash``, ``sh`` and ``console`` blocks become commands,
``python`` blocks become programs, ``sql`` blocks queries of the store. ``js`` blocks are programs
for Node.js, each run by itself, so that a page's other blocks need no Node.js. A block whose first
line is ``# file: PATH`` is written there. Where running a command would go too far (a set-up, a
server that stays, a download), what it names is checked instead.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DEMO_URL = "http://127.0.0.1:8080"

SHELL = ("bash", "sh", "console")
JAVASCRIPT = ("js", "mjs")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# file: (\S+)\n")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SQL = "import pathlib, sqlite3, sys; db = sqlite3.connect('var/headgate.db'); "


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is that of its fence."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def where(self) -> str:
        """``page:line`` for messages."""
        return f"{name_of(self.page)}:{self.line}"

    @property
    def file(self) -> str:
        """Where the block is to be written; empty when it is no file."""
        found = _FILE.match(self.text)
        return found[1] if found else ""


def name_of(page: Path) -> str:
    """The page's path within the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text()
    return [
        Block(page, found[1], found[2], text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def links(page: Path) -> list[str]:
    """Targets of the page's links to other pages and headings; code is left out."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))
    return [target for target in _LINK.findall(text) if "://" not in target]


def script(page: Path, folder: Path) -> str:
    """The page as one bash script for the working copy ``folder``; empty when it runs nothing."""
    steps = [step for block in blocks(page) for step in _steps(block, folder)]
    if not steps:
        return ""
    return "\n".join(["set -euo pipefail", *steps, ""])


def _steps(block: Block, folder: Path) -> Iterator[str]:
    if block.file:
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
    elif block.language in SHELL:
        for command in commands(block):
            yield f"trap {shlex.quote(f'echo failed: {shlex.quote(command)}')} ERR"
            yield stand_in(command) or command
    elif block.language in ("python", "sql"):
        path = folder / f"block-{block.page.stem}-{block.line}.{block.language}"
        path.write_text(block.text)
        yield f"trap 'echo failed: the block of {block.where}' ERR"
        if block.language == "sql":
            program = f"{_SQL}print(db.execute(pathlib.Path({path.name!r}).read_text()).fetchall())"
            yield f"python -c {shlex.quote(program)}"
        else:
            yield f"python {path.name}"


def commands(block: Block) -> list[str]:
    """The block's commands; in ``console`` blocks what stands after a ``$``."""
    text = block.text
    if block.language == "console":
        text = "\n".join(x[2:] for x in text.splitlines() if x.startswith("$ "))
    joined = text.replace("\\\n", " ")
    return [x for x in joined.splitlines() if x.strip() and not x.lstrip().startswith("#")]


def stand_in(command: str) -> str:
    """What runs instead of a command that sets up, stays or downloads; empty = the command itself.

    Raises ``AssertionError`` when such a command names something that there is not.
    """
    words = shlex.split(command, comments=True)
    program = words[0].rpartition("/")[2]
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(words[1:]) <= targets, f"no such target: {command}"
        return "true"
    if program == "source":
        assert words[1:] == [".venv/bin/activate"], f"no such file: {command}"
        return "true"
    if program == "pip":
        known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        named = re.findall(r"\[([\w,]+)\]", command)
        extras = {extra for group in named for extra in group.split(",")}
        assert extras <= set(known["optional-dependencies"]), f"no such extra: {command}"
        return "true"
    if program == "headgate" and words[1:2] == ["serve"]:
        return f"{command} --help > /dev/null"  # unknown options fail before the help is shown
    return ""
