"""Inserting what may be there already, which each database writes in its own way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite


def dialect_of(db: Connection) -> Any:
    """The dialect's module, whose ``insert`` knows ``on_conflict``."""
    return postgresql if db.dialect.name == "postgresql" else sqlite
