"""The service tier that a request asks for and that a reply says it was served in."""

from __future__ import annotations

from typing import Any

from headgate_core.types import Json

_LONGEST = 40
_TRAFFIC = {
    "ON_DEMAND": "default",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "FLEX": "flex",
    "BATCH": "batch",
}
"""What Vertex calls them; another word is a tier of its own."""


def asked_tier(body: Json) -> str:
    """The tier that a request names; empty = it leaves that to the provider."""
    return _said(body) or ("fast" if body.get("speed") == "fast" else "")


def served_tier(body: Json) -> str:
    """The tier in a whole reply or an event of a stream, of any provider; empty = it tells none.

    ``auto`` is no tier: it repeats the request.
    """
    for holder in (body, body.get("usage"), body.get("usageMetadata")):
        if isinstance(holder, dict) and (told := _of(holder)):
            return told
    for name in ("message", "response"):
        inner = body.get(name)
        if isinstance(inner, dict) and (told := served_tier(inner)):
            return told
    return ""


def _of(holder: Json) -> str:
    told = _said(holder)
    if told in ("", "auto", "standard") and holder.get("speed") == "fast":
        return "fast"
    if told and told != "auto":
        return told
    traffic = holder.get("trafficType")
    return _TRAFFIC.get(traffic, traffic.lower()[:_LONGEST]) if isinstance(traffic, str) else ""


def _said(holder: Json) -> str:
    told: Any = holder.get("service_tier") or holder.get("serviceTier")
    if isinstance(told, dict):
        told = told.get("type")
    return told.lower()[:_LONGEST] if isinstance(told, str) else ""
