"""Settings that cannot be right for where and how often the gateway runs."""

from __future__ import annotations

from ipaddress import ip_address

from headgate_core.settings.document import Document, Trail
from headgate_core.settings.gateway import GatewaySettings

_STORES = ("sqlite:///", "postgresql+psycopg://")


def check_deployment(settings: GatewaySettings, document: Document) -> None:
    """Note what is unsafe or wrong on this address, with these workers and replicas."""
    _keys(settings, document)
    _store(settings, document)
    _replicas(settings, document)
    _otlp(settings, document)


def is_loopback(host: str) -> bool:
    """Whether listening on ``host`` is out of reach from other machines."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _keys(settings: GatewaySettings, document: Document) -> None:
    if settings.auth.keys == "open" and not is_loopback(settings.server.host):
        document.problem(
            ("auth", "keys"),
            f"`open` lets anybody in who reaches {settings.server.host}; "
            "set `server.host: 127.0.0.1`, or `auth.keys: required`.",
        )


def _store(settings: GatewaySettings, document: Document) -> None:
    url, trail = settings.store.url, ("store", "url")
    if not url.startswith(_STORES):
        scheme = url.partition("://")[0] if "://" in url else "no scheme"
        document.problem(
            trail,
            f"expected sqlite:///PATH or postgresql+psycopg://HOST/DATABASE, found {scheme}.",
        )
    elif ":memory:" in url or url == "sqlite:///":
        document.problem(trail, "the store must be a file; write sqlite:///PATH.")


def _replicas(settings: GatewaySettings, document: Document) -> None:
    if settings.server.replicas == 1:
        return
    trail: Trail = ("server", "replicas")
    needs = []
    if settings.store.url.startswith("sqlite"):
        needs.append("`store.url: postgresql+psycopg://...` (SQLite is one machine's)")
    for collection in settings.collections:
        if collection.index.use == "embedded":
            needs.append(f"an index server for collection {collection.name!r} (embedded is local)")
    needs.append(
        "a shared `state.url` (memory:// is one machine's), which this version does not have yet"
    )
    document.problem(
        trail, f"more than one replica needs {', '.join(needs)}; until then set `replicas: 1`."
    )


def _otlp(settings: GatewaySettings, document: Document) -> None:
    for index, one in enumerate(settings.telemetry.otlp):
        if not one.endpoint.startswith(("http://", "https://")):
            document.problem(
                ("telemetry", "otlp", index, "endpoint"),
                "expected an address that begins with http:// or https://.",
            )
