"""Endpoints of the wire by their path below ``/v1``, and what a pool must serve to answer them."""

from __future__ import annotations

from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["chat", "embeddings", "rerank", "moderation"]
"""What a pool serves."""

CHAT = "chat/completions"
"""The endpoint that everything with messages ends at."""

WIRES = ("responses", "completions")
"""Endpoints that chat answers by translation, or a target whose provider speaks them itself."""

ENDPOINT_OF: dict[Kind, str] = {
    "chat": CHAT,
    "embeddings": "embeddings",
    "rerank": "rerank",
    "moderation": "moderations",
}
"""Where each kind is called."""

_KINDS = {endpoint: kind for kind, endpoint in ENDPOINT_OF.items()}


def kind_of(endpoint: str) -> Kind:
    """What a pool must serve for this endpoint; other dialects of chat are chat."""
    return _KINDS.get(endpoint, "chat")


def serves(provider: type, kind: Kind) -> bool:
    """Whether a provider's class can serve pools of this kind; see ``forwarding``."""
    declared = getattr(provider, "serves", None)
    if declared is not None:
        return kind in declared
    forwards = hasattr(provider, "forward")
    return forwards if kind != "chat" else hasattr(provider, "chat") or not forwards
