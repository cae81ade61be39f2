"""Control flow of the pipeline: values, not failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate_core.reply import Reply


class Ended(Exception):
    """Ends the stages early with a reply of our own (a refusal): a value, not a failure."""

    def __init__(self, reply: Reply, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply
        self.reason = reason


class Again(Exception):
    """Asks for another round from the render stage; only before the first content byte.

    ``pool`` replaces the route's pool for that round when it is given.
    """

    def __init__(self, reason: str, pool: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pool = pool
