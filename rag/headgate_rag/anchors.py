"""Anchors of headings as GitHub makes them, so that links into rendered documents work."""

from __future__ import annotations

import re


def slug(heading: str) -> str:
    """Lower case, punctuation removed, each space a hyphen."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


class Anchors:
    """The anchors of one document: a repeated one gets ``-1``, ``-2``, …"""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def add(self, heading: str) -> str:
        """The anchor of the next heading."""
        base = slug(heading)
        anchor = base
        while anchor in self._used:
            self._used[base] += 1
            anchor = f"{base}-{self._used[base]}"
        self._used[anchor] = 0
        return anchor
