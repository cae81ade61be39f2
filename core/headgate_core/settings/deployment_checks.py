"""Settings that cannot be right for where and how often the gateway runs."""

from __future__ import annotations

from ipaddress import ip_address

from headgate_core.settings.document import Document, Trail
from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.server import ServerSettings

LEAST_ADMIN_KEY = 24
"""Characters; a text drawn at random has many different ones among them."""
_STORES = ("sqlite:///", "postgresql+psycopg://")


def check_deployment(settings: GatewaySettings, document: Document) -> None:
    """Note what is unsafe or wrong on this address, with these workers and replicas."""
    _keys(settings, document)
    _admin(settings, document)
    _store(settings, document)
    _replicas(settings, document)
    _places(settings, document)
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


def port_clash(server: ServerSettings) -> str:
    """What is wrong when the admin API shall listen where calls do; empty = nothing."""
    if server.admin is None or server.admin.port != server.port or server.port == 0:
        return ""
    return f"the admin API and the calls cannot both have port {server.port}; choose another one."


def _admin(settings: GatewaySettings, document: Document) -> None:
    key = settings.auth.admin_key
    if settings.server.admin is not None and not key:
        document.problem(
            ("server", "admin"),
            "the admin API needs a key; set `auth.admin_key: env:HEADGATE_ADMIN_KEY`.",
        )
    if fault := port_clash(settings.server):
        document.problem(("server", "admin", "port"), fault)
    if ("auth", "admin_key") in document.broken:
        return
    if key and (len(key) < LEAST_ADMIN_KEY or len(set(key)) < LEAST_ADMIN_KEY // 3):
        document.problem(
            ("auth", "admin_key"),
            f"the key can be guessed: draw at least {LEAST_ADMIN_KEY} characters at random, "
            "for example with `openssl rand -base64 32`.",
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


def places_short(settings: GatewaySettings) -> tuple[int, str] | None:
    """The first pool, by its place in the list, whose places are fewer than the workers among
    whom they are shared out, and what is wrong with it. Workers do not see each other's calls."""
    workers = settings.server.workers
    for index, pool in enumerate(settings.pools):
        if pool.queue is not None and (most := pool.queue.in_flight_per_target) < workers:
            return index, (
                f"{most} calls in flight cannot be shared out among {workers} workers; set at "
                f"least {workers}, or `server.workers: {most}`."
            )
    return None


def _places(settings: GatewaySettings, document: Document) -> None:
    if short := places_short(settings):
        document.problem(("pools", short[0], "queue", "in_flight_per_target"), short[1])


def _otlp(settings: GatewaySettings, document: Document) -> None:
    for index, one in enumerate(settings.telemetry.otlp):
        if not one.endpoint.startswith(("http://", "https://")):
            document.problem(
                ("telemetry", "otlp", index, "endpoint"),
                "expected an address that begins with http:// or https://.",
            )
