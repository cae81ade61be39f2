"""A prompt file cut into its head and its blocks, before anything in it is rendered.

Role lines are found in the author's text alone: an input that holds ``=== system ===`` stays text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from headgate_core.errors import ConfigurationError, Problem
from headgate_core.plugins import unknown
from headgate_core.settings import yaml_source
from headgate_core.settings.document import Document

ROLES = ("system", "history", "user", "assistant")
ROLE_LINE = re.compile(r"^===[ \t]*(?P<role>[A-Za-z_]+)[ \t]*===[ \t]*$")


class Block(NamedTuple):
    """The text under one role line; ``line`` is the file's line of the text's first line."""

    role: str
    text: str
    line: int


class Layout(NamedTuple):
    """The head as a document that notes problems, and the blocks in order."""

    head: Document
    blocks: list[Block]


def split(text: str, path: Path) -> Layout:
    """Cut a prompt file apart; faults of the blocks are noted in the head's problems.

    Raises ``ConfigurationError`` when there is no head or it is not YAML.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    ends = [i for i, line in enumerate(lines) if line.rstrip() == "---"]
    if not lines or lines[0].rstrip() != "---" or len(ends) < 2:
        problem = Problem(
            path, 1, "a prompt begins with a head between two lines of ---, holding at least name."
        )
        raise ConfigurationError(f"{path} has 1 problem:", (problem,))
    head = yaml_source.parse("\n".join(lines[1 : ends[1]]), path, first_line=2)
    blocks = _blocks(lines, ends[1] + 1, head)
    _check_order(blocks, head)
    return Layout(head, blocks)


def _blocks(lines: list[str], start: int, head: Document) -> list[Block]:
    blocks: list[Block] = []
    role, first = "", start
    for number in range(start, len(lines) + 1):
        match = ROLE_LINE.match(lines[number]) if number < len(lines) else None
        if match is None and number < len(lines):
            continue
        body = "\n".join(lines[first:number])
        if role:
            blocks.append(Block(role, body, first + 1))
        elif body.strip():
            _fault(head, first + 1, "this text stands before the first role line (=== system ===).")
        if match is not None:
            role, first = _role(match["role"], number + 1, head), number + 1
    return blocks


def _role(role: str, line: int, head: Document) -> str:
    if role not in ROLES:
        _fault(head, line, unknown("role", role, ROLES))
    return role


def _check_order(blocks: list[Block], head: Document) -> None:
    roles = [block.role for block in blocks]
    if not blocks:
        _fault(head, 1, "there is no role line; write === system === and === user ===.")
    for block in blocks[1:]:
        if block.role == "system":
            _fault(head, block.line - 1, "=== system === may stand once, and first.")
    if roles.count("history") > 1:
        again = [block for block in blocks if block.role == "history"][1]
        _fault(head, again.line - 1, "=== history === may stand once.")
    for block in blocks:
        if block.role == "history" and block.text.strip():
            _fault(head, block.line, "nothing may stand under === history ===; turns go there.")
    if blocks and ("user" in roles or "assistant" in roles) and roles[-1] != "user":
        _fault(head, blocks[-1].line - 1, "the last block must be === user ===.")


def _fault(head: Document, line: int, message: str) -> None:
    head.problems.append(Problem(head.file, line, message))
