"""What ``/ready`` says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headgate_core.types import Json
from headgate_gateway.http.asgi import Scope, Send, respond_json
from headgate_gateway.http.peer import peer_of

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway

STARTING: Json = {"status": "starting"}
DRAINING: Json = {"status": "draining"}
ELSEWHERE = "see `headgate status` on the gateway's machine"


async def ready(gateway: Gateway, scope: Scope, send: Send) -> None:
    """Configuration and schema are in order, and the store by its declared mode.

    A provider's outage is no reason, nor is the store's where calls go on without it, nor a
    refused configuration: the one before it serves.
    """
    presence = gateway.presence
    await presence.look()
    if presence.away and gateway.settings.store.when_away == "refuse":
        await respond_json(send, 503, {"status": "store away"}, {"retry-after": "1"})
        return
    shown = ("pool", "target", "state", "probe")
    body = {
        "status": "ready",
        "config": gateway.settings.hash,
        "loaded": _moment(gateway.loaded_unix_ns),
        "refused": _refused(gateway, scope),
        "store": "away" if presence.away else "ok",
        "targets": [{k: row[k] for k in shown} for row in gateway.targets()],
    }
    await respond_json(send, 200, body)


def _refused(gateway: Gateway, scope: Scope) -> Json | None:
    """The configuration on disk that is not served; what is wrong in it only to this machine."""
    refused = gateway.refused
    if refused is None:
        return None
    peer = peer_of(scope)
    local = not peer.refused_because and not peer.authorization
    error = refused.error if local else ELSEWHERE
    return {"at": _moment(refused.at_unix_ns), "error": error}


def _moment(unix_ns: int) -> str:
    return datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="milliseconds")
