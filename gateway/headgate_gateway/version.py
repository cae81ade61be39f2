"""Which version this is: apart from all else, so that telling it is quick."""

from __future__ import annotations

from importlib.metadata import version


def version_line() -> str:
    """What ``headgate --version`` says."""
    return f"headgate {version('headgate')}"
