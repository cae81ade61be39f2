"""A list of hosts in force: whatever the configuration names must be on it, and be enforceable."""

from __future__ import annotations

from headgate_core.egress.allow import AllowList
from headgate_core.plugins import load_class
from headgate_core.settings import environment
from headgate_core.settings.destinations import Destination, destinations
from headgate_core.settings.document import Document, dotted
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.plugin_checks import Use, options_of


def check_egress(settings: GatewaySettings, document: Document) -> None:
    """Note every address that ``egress.allow`` does not hold, and what it cannot be enforced on."""
    if settings.egress is None:
        return
    allowed = settings.egress.listed()
    for found in destinations(settings):
        if fault := _fault(found, allowed):
            document.problem(found.trail, fault)
    _proxies(settings, document)


def _fault(found: Destination, allowed: AllowList) -> str:
    name = dotted(found.trail)
    if found.peer is None:
        return (
            f"`{name}`: no host can be read in this address, so it cannot be compared with "
            "`egress.allow`; write it as scheme://host:port/path."
        )
    if allowed.allows(found.peer.host, found.peer.port):
        return ""
    entry = str(found.peer)
    return (
        f"`{name}` connects to {entry}, which is not in `egress.allow`; "
        f"add {entry!r} there, or take the address out."
    )


def _heeds(provider: str) -> bool:
    """Whether it may connect through a proxy of the environment: one that does not say may."""
    if isinstance(options_of(Use("providers", provider, {}, ())), str):
        return False  # there is no such plugin: check_plugins reports it
    cls = load_class("providers", provider)
    return not (getattr(cls, "free", False) or getattr(cls, "heeds_no_environment", False))


def _proxies(settings: GatewaySettings, document: Document) -> None:
    """Libraries heed these variables; what is behind a proxy can be seen by nobody here."""
    heeded = bool(settings.telemetry.otlp) or any(_heeds(p.use) for p in settings.providers)
    for name in environment.proxies() if heeded else ():
        document.problem(
            ("egress", "allow"),
            f"`egress.allow` cannot be enforced on what libraries send through the proxy of the "
            f"environment variable {name}: start the gateway without {name}, and name a proxy "
            "in the option `proxy` of an `openai_compatible` provider where one is needed.",
        )
