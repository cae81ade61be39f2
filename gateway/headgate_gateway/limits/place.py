"""Where requests per minute are counted."""

from __future__ import annotations

from pathlib import Path

from headgate_core.settings.gateway import GatewaySettings
from headgate_gateway.limits.window import SlidingWindow
from headgate_gateway.plan import Limiter


def limiter_of(settings: GatewaySettings, data_dir: Path) -> Limiter:
    """In this process where it is the only worker, else in the machine's state process."""
    if settings.server.workers == 1:
        return SlidingWindow()
    from headgate_gateway.limits.state import SharedWindow

    return SharedWindow(data_dir)
