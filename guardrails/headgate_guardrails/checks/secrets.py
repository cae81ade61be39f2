"""Keys, tokens and passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.types import At, Span
from headgate_guardrails.patterns import assignments as named
from headgate_guardrails.patterns import tokens

_LAST_WORD = re.compile(r"\S*\Z")


@dataclass
class Secrets:
    """Secrets: provider keys by their shape, private keys, JWTs, passwords in assignments and URLs.

    ``assignments: false`` leaves out values that only their name gives away.
    """

    assignments: bool = True

    version: ClassVar[str] = "1"
    cost: ClassVar[int] = 0
    window = tokens.PEM_LONGEST
    context: ClassVar[int] = named.CONTEXT

    async def find(self, text: str, at: At) -> list[Span]:
        """Every secret; kinds name the provider (``github_token``) or the form (``jwt``)."""
        found = [*tokens.find(text), *tokens.private_keys(text)]
        if self.assignments:
            found += named.find(text)
        return found

    def open_from(self, text: str) -> int:
        """Where the last word begins, or the private key block that it may belong to.

        Nothing else that is secret holds a blank, so all before is decided.
        """
        last = _LAST_WORD.search(text, max(0, len(text) - self.window))
        return min(last.start() if last else len(text), tokens.open_block(text))
