"""Strings of a stream that nothing follows: each comes out in one piece, for clients join them."""

from __future__ import annotations

from typing import Literal, TypeAlias

from headgate_core.types import Json

Came: TypeAlias = Literal["first", "again", "more"]
"""A string comes for the first time, is said once more, or goes on in another piece."""


class FirstPieces:
    """What has come so far at each place of a stream, such as a member of one tool call."""

    def __init__(self) -> None:
        self._visit = 0
        self._said: dict[tuple[str, str], tuple[int, str]] = {}
        self._notes: dict[int, dict[object, int]] = {}

    def begin(self) -> None:
        """The next object begins: the strings within one object are all different ones."""
        self._visit += 1

    def came(self, owner: str, trail: str, text: str) -> Came:
        """Whether ``text`` may go out as the member ``trail`` of ``owner``."""
        visit, said = self._said.setdefault((owner, trail), (self._visit, text))
        if visit == self._visit:
            return "first"
        return "again" if said == text else "more"

    def annotation(self, choice: int, note: Json) -> int:
        """Which one of its choice an annotation is, from 0; its ``index`` becomes that number.

        Some clients put it where its index says, others where there is room: so both say the same.
        """
        known, told = self._notes.setdefault(choice, {}), note.get("index")
        if not isinstance(told, int) or isinstance(told, bool):
            note.pop("index", None)
            return known.setdefault(("untold", len(known)), len(known))
        note["index"] = known.setdefault(told, len(known))
        return known[told]
