"""Data at rest: one database for everything, SQLite by default."""

from headgate_core.store.engine import Store

__all__ = ["Store"]
