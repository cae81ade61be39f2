"""What a provider may have beside ``chat``: other endpoints, and knowledge of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from headgate_core.ports import ModelRequest
from headgate_core.reply import Reply


class Forwarder(Protocol):
    """What a provider may have beside ``chat``: the endpoints that are JSON in, JSON out.

    An attribute ``native`` names the endpoints among ``headgate_core.endpoints.WIRES`` that its
    upstream speaks itself: they come to ``forward`` too, streamed where ``request.stream``, and
    their replies say so in ``wire``. A class variable ``serves`` names the kinds it can
    (``("chat", "embeddings")``); without one, ``chat`` stands for chat and ``forward`` for all
    others. A method ``cache_control(model)`` says which models take Anthropic's marks in chat.
    """

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Send the body to ``request.endpoint``; the reply is one ``Raw`` or ``Chunk``, ``Done``.

        Raises ``UpstreamError``, or ``InvalidRequest`` for what it cannot do.
        """
        ...


class Selective(Protocol):
    """What a provider may have that knows which parameters its models honour."""

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """Members of the body that this model cannot honour."""
        ...
