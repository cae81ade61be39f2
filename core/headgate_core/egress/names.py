"""Hosts as they are written in addresses and asked for at a socket, brought to one form."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

Address: TypeAlias = IPv4Address | IPv6Address

_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443, "postgresql": 5432, "redis": 6379}


class Peer(NamedTuple):
    """One end that a connection can go to; ``port`` is None where nobody has said it."""

    host: str
    port: int | None = None
    written: bool = True
    """False: the port is the usual one of the address's scheme."""

    def __str__(self) -> str:
        if not self.port or not self.written:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def same(host: str) -> str | Address:
    """The one form of a host: an address, or a name in small letters without its last dot."""
    bare = host.strip("[]").partition("%")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return _name(host)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def peer_of(url: str) -> Peer | None:
    """Where ``scheme://host:port/…`` or ``host:port`` leads; None where no host can be read."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or any(c.isspace() or c == "\\" for c in url):
        return None
    usual = _PORTS.get(parts.scheme.partition("+")[0])
    return Peer(host, port or usual, written=port is not None)


def _name(host: str) -> str:
    name = host.lower().removesuffix(".")
    if not name.isascii():
        with suppress(UnicodeError):
            return name.encode("idna").decode("ascii")
    return name
