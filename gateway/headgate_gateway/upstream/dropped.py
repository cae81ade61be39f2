"""What all providers do alike with what they send and what comes back."""

from __future__ import annotations

from headgate_core.ports import ModelRequest


def dropped(request: ModelRequest, name: str) -> None:
    """A member of the request is not sent: the caller is told in ``x-headgate-dropped``."""
    context = request.context
    if context is not None and name not in context.dropped:
        context.dropped.append(name)
