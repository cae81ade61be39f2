"""Who sends spans: the resource's own attributes, without the OpenTelemetry packages."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def service() -> dict[str, str]:
    """``service.name`` and ``service.version``."""
    try:
        found = version("headgate")
    except PackageNotFoundError:
        found = "0"
    return {"service.name": "headgate", "service.version": found}
