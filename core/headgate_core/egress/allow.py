"""The operator's list of hosts: what an entry may be, and which hosts it allows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from headgate_core.egress.names import Address, Peer, peer_of, same

_LABEL = r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_MAPPED = 96
"""Bits before an IPv4 address that is written in IPv6."""
_TWO_WAYS = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")
"""Letters that the older and the newer IDNA encode differently."""
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: a name, names below a name, an address or a network; at one port or at any."""

    name: str = ""
    below: bool = False
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None

    def holds(self, host: str | Address, port: int | None) -> bool:
        """Whether it allows this host at this port; ``None`` = whether at any port."""
        if port is not None and self.port not in (None, port):
            return False
        if not isinstance(host, str):
            return self.network is not None and host in self.network
        if self.below:
            return host.endswith(f".{self.name}")
        return self.network is None and host == self.name


@dataclass(frozen=True, slots=True)
class AllowList:
    """The hosts that may be connected to.

    Names are compared with names as they were asked for, addresses with addresses.
    """

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, texts: Sequence[str]) -> AllowList:
        """The list that is written so. Raises ``ValueError`` for an entry that is none."""
        return cls(tuple(parse(text) for text in texts))

    def allows(self, host: str, port: int | None = None) -> bool:
        """Whether a connection to ``host`` may be opened; ``port`` None = at one port at least."""
        found = same(host)
        return any(entry.holds(found, port) for entry in self.entries)


def parse(text: str) -> Entry:
    """One entry. Raises ``ValueError`` saying what to write instead."""
    if text.strip() in ("*", "*.", "*.*"):
        raise _everything(text)
    if "://" in text:
        found = peer_of(text)
        raise ValueError(f"`{_shown(text)}` is a whole address; {_write(found)}.")
    if "/" in text:
        return _network(text)
    if text.startswith("*."):
        name, port = _split(text[2:], text)
        return Entry(_name(name, text), below=True, port=port)
    name, port = _split(text, text)
    try:
        return Entry(network=_alone(name), port=port)
    except ValueError:
        return Entry(_name(name, text), port=port)


def _network(text: str) -> Entry:
    try:
        network = _plain(ip_network(text))
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(
                f"`{text}` names an address inside of a network; write the network, "
                f"{ip_network(text, strict=False)}, or the address alone."
            ) from None
        raise ValueError(
            f"`{_shown(text)}` is neither a host nor a network; write a host without a path, "
            "such as api.openai.com, or a network without a port, such as 10.0.0.0/8."
        ) from None
    if network.prefixlen == 0:
        raise _everything(text)
    return Entry(network=network)


def _plain(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """A network of IPv4 addresses that is written in IPv6 as IPv4: so are the hosts."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED))


def _everything(text: str) -> ValueError:
    return ValueError(
        f"`{text}` would allow every host; name the hosts, or leave `egress` out: "
        "then nothing is refused."
    )


def _split(text: str, whole: str) -> tuple[str, int | None]:
    """Host and port. An IPv6 address that has a port is in brackets."""
    if text.count(":") > 1 and not text.startswith("["):
        return text, None
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(.*))?", text)
    host, port = (found[1], found[2]) if found else (text, None)
    if port is None:
        return host, None
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"`{whole}`: a port is a number from 1 to 65535.")
    return host, int(port)


def _alone(host: str) -> IPv4Network | IPv6Network:
    found = same(str(ip_address(host.strip("[]"))))
    return ip_network(str(found))


def _name(name: str, whole: str) -> str:
    if "*" in name:
        raise ValueError(
            f"`{whole}`: `*.` stands once, before a whole name: write e.g. *.example.com."
        )
    if "@" in name:
        raise ValueError("an entry holds a user or a password; write the host alone.")
    if not name.isascii():
        wire = "xn--…" if _TWO_WAYS.search(name) else same(name)
        raise ValueError(f"`{whole}`: write the name as it is on the wire, {wire}.")
    last = name.removesuffix(".").rpartition(".")[2]
    if _NAME.fullmatch(name) is None or _NUMBER.fullmatch(last):
        raise ValueError(
            f"`{whole}` is no host; write a name (api.openai.com, vllm:8000), names below a name "
            "(*.example.com), an address (10.0.0.5) or a network (10.0.0.0/8)."
        )
    return str(same(name))


def _write(found: Peer | None) -> str:
    return "write the host alone" + (f", {found}" if found else ", such as api.openai.com")


def _shown(text: str) -> str:
    """Without a user and a password."""
    return re.sub(r"[^/@]*@", "", text)
