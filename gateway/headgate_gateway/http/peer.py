"""Who is calling, as far as the transport can tell: the basis of keyless use on loopback."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from headgate_core.context import KEY_PREFIX, Peer
from headgate_gateway.http.asgi import Scope, header

_FORWARDING = (
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"via",
    b"cf-connecting-ip",
    b"true-client-ip",
)
"""Marks of a proxy: then the caller is somewhere else, whatever the peer address says."""


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
    for name in _FORWARDING:
        if header(scope, name):
            return f"the request came through a proxy ({name.decode()} is set)"
    host = header(scope, b"host")
    if not is_loopback(_host_name(host)):
        return f"the Host header {host!r} is not a loopback name"
    origin = header(scope, b"origin")
    if origin and not is_loopback(urlsplit(origin).hostname or ""):
        return f"the request comes from a web page of {origin!r}"
    content_type = header(scope, b"content-type").partition(";")[0].strip().lower()
    if scope["method"] == "POST" and content_type != "application/json":
        return "its content type is not application/json"
    return ""


def _host_name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


def is_loopback(name: str) -> bool:
    """Whether a host name or address means this machine."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
