"""Targets that a person took out of use for a while: rows of the store that all workers obey."""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, insert, select

from headgate_core.errors import NotFound
from headgate_core.store import Store
from headgate_core.store.tables import disabled_targets


class Disabled(NamedTuple):
    """One target that is out of use; it comes back by itself at ``until_unix_ns``."""

    provider: str
    model: str
    until_unix_ns: int
    why: str
    disabled_unix_ns: int

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.provider}/{self.model}"


def disable(store: Store, provider: str, model: str, for_s: float, why: str) -> Disabled:
    """Take a target out of use for ``for_s`` seconds from now; a second time replaces the first."""
    now = time.time_ns()
    row = Disabled(provider, model, now + int(for_s * 1e9), why, now)
    with store.begin() as db:
        db.execute(delete(disabled_targets).where(*_is(provider, model)))
        db.execute(insert(disabled_targets).values(row._asdict()))
    return row


def enable(store: Store, name: str) -> None:
    """Put ``provider/model`` back into use. Raises ``NotFound`` when it was not disabled."""
    # Compared as a whole: a provider's name may hold a slash, as a model's does.
    whole = disabled_targets.c.provider + "/" + disabled_targets.c.model
    with store.begin() as db:
        if db.execute(delete(disabled_targets).where(whole == name)).rowcount == 0:
            raise NotFound(f"The target {name} is not disabled.")


def disabled(store: Store) -> list[Disabled]:
    """The targets that are out of use now, by name; rows whose time is over are left out."""
    query = select(*(disabled_targets.c[name] for name in Disabled._fields))
    query = query.where(disabled_targets.c.until_unix_ns > time.time_ns())
    with store.begin() as db:
        return sorted(Disabled(*row) for row in db.execute(query))


def _is(provider: str, model: str) -> tuple[ColumnElement[bool], ...]:
    return (disabled_targets.c.provider == provider, disabled_targets.c.model == model)
