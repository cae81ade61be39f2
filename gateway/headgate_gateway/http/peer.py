"""Who is calling, as far as the transport can tell: the basis of keyless use on loopback."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from headgate_core.context import KEY_PREFIX, Peer
from headgate_gateway.http.asgi import Scope, header

_FORWARDING = (
    b"forwarded",
    b"x-forwarded",
    b"x-original-",
    b"x-real-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"via",
    b"cf-connecting-ip",
    b"true-client-ip",
)
"""How the names of a proxy's marks begin: then the caller is somewhere else, whatever the peer
address says, and whatever the mark holds."""
_ONCE = (b"host", b"origin", b"content-type")
"""Headers that decide here; a second one might be the one that somebody else goes by."""


def peer_of(scope: Scope) -> Peer:
    """The key as sent, and why keyless use is out of the question (empty = it is not)."""
    key = _key(scope)
    return Peer(key, "" if key.startswith(KEY_PREFIX) else _not_local(scope))


def _key(scope: Scope) -> str:
    authorization = header(scope, b"authorization")
    if authorization:
        word, _, rest = authorization.partition(" ")
        return rest.strip() if word.lower() == "bearer" else authorization.strip()
    return header(scope, b"x-api-key") or header(scope, b"api-key")


def _not_local(scope: Scope) -> str:
    client = scope.get("client")
    if client and not is_loopback(client[0]):
        return "the request comes from another machine"
    return _marked(scope) or _foreign(scope)


def _marked(scope: Scope) -> str:
    names = [name for name, _ in scope["headers"]]
    for name in names:
        if name.startswith(_FORWARDING):
            return f"the request came through a proxy ({name.decode('latin-1')} is set)"
    for name in _ONCE:
        if names.count(name) > 1:
            return f"it has more than one {name.decode()} header"
    return ""


def _foreign(scope: Scope) -> str:
    host, origin = header(scope, b"host"), header(scope, b"origin")
    if not is_loopback(_name_in(f"//{host}")):
        return f"the Host header {host!r} is not a loopback name"
    if origin and not is_loopback(_name_in(origin)):
        return f"the request comes from a web page of {origin!r}"
    content_type = header(scope, b"content-type").partition(";")[0].strip().lower()
    if scope["method"] == "POST" and content_type != "application/json":
        return "its content type is not application/json (set Content-Type: application/json)"
    return ""


def _name_in(url: str) -> str:
    """The host of a URL; empty when it is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
