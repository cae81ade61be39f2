"""Every address in a configuration that the process would connect to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from headgate_core.egress.names import Peer, peer_of
from headgate_core.settings import environment
from headgate_core.settings.document import Trail, leaves
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.plugin_checks import Use, uses

_ADDRESS = re.compile(r"(^|_)(url|uri|base|endpoint|host|address|proxy)s?$", re.IGNORECASE)
"""Names of options that hold an address: ``base_url``, ``api_base``, ``proxy``, ``region_host``."""
_BARE = re.compile(r"(^|_)(endpoint|host|address|proxy)s?$|^(base_url|api_base)$", re.IGNORECASE)
"""Those of them whose value may be a host without ``scheme://``."""
_SENT_ALONG = ("headers", "extra_headers", "default_headers", "query", "extra_query", "extra_body")
"""Options that say what is sent, not where: a header may hold an address of anybody's."""


class Destination(NamedTuple):
    """One place to connect to, and where it is said; ``peer`` is None where none can be read."""

    trail: Trail
    peer: Peer | None
    why: str


def destinations(settings: GatewaySettings) -> Iterator[Destination]:
    """All of them: plugins' options, OTLP back-ends and the database."""
    for use in uses(settings):
        yield from of_plugin(use)
    for index, otlp in enumerate(settings.telemetry.otlp):
        trail: Trail = ("telemetry", "otlp", index, "endpoint")
        yield Destination(trail, peer_of(otlp.endpoint), "spans over OTLP")
    for peer in store_peers(settings.store.url):
        yield Destination(("store", "url"), peer, "the database")


def of_plugin(use: Use) -> Iterator[Destination]:
    """What the options of one plugin name."""
    why = f"{use.kind.removesuffix('s')} {use.use}"
    for trail, value in leaves(_sent_where(use.options)):
        if isinstance(value, str) and value and _is_address(trail, value):
            yield Destination((*use.trail, "options", *trail), peer_of(value), why)


def store_peers(url: str) -> Iterator[Peer | None]:
    """The hosts of the database's server, as libpq finds them; none for a file or a socket."""
    if url.startswith("sqlite"):
        return
    try:
        parts = urlsplit(url)
        said = parse_qs(parts.query)
    except ValueError:
        yield None
        return
    hosts = _each(
        [parts.netloc.rpartition("@")[2], *said.get("host", ()), *said.get("hostaddr", ())]
    )
    if "service" in said or environment.get("PGSERVICE"):
        yield None  # a file of libpq's says where it is
    elif not hosts:
        hosts = _each([environment.get("PGHOST") or ""])
    if "hostaddr" not in said:  # connected to instead of the host
        hosts += _each([environment.get("PGHOSTADDR") or ""])
    for host in hosts:
        if not host.startswith(("/", "%2F", "@")):
            yield from _at_ports(host, _each(said.get("port", ())))


def _at_ports(host: str, ports: list[str]) -> Iterator[Peer | None]:
    found = peer_of(f"postgresql://{host}")
    if not ports and found is not None and not found.written:
        ports = _each([environment.get("PGPORT") or ""])
    for port in ports or [""]:
        yield peer_of(f"postgresql://{host}" + (f":{port}" if port else ""))


def _each(texts: Iterable[str]) -> list[str]:
    return [one for text in texts for one in text.split(",") if one]


def _sent_where(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _sent_where(value) if isinstance(value, Mapping) else value
        for name, value in options.items()
        if name not in _SENT_ALONG
    }


def _is_address(trail: Trail, value: str) -> bool:
    name = next((str(part) for part in reversed(trail) if isinstance(part, str)), "")
    if not _ADDRESS.search(name):
        return False
    return "://" in value or _BARE.search(name) is not None
