"""``headgate keys``: API keys are made, listed and revoked here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from headgate_core.settings.gateway import GatewaySettings
    from headgate_core.store import Store
    from headgate_gateway.keys import KeyRow


LAST_YEAR = 2200
"""Times are nanoseconds in 64 bits, which end in 2262."""


def register(app: typer.Typer) -> None:
    """Add ``keys create``, ``keys list`` and ``keys revoke``."""
    group = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(  # noqa: PLR0913 - a command's parameters are its options
    name: Annotated[str, typer.Option(help="Who or what uses it, e.g. `billing service`.")],
    team: Annotated[str, typer.Option(help="The team that pays.")] = "default",
    tenant: Annotated[str, typer.Option(help="Whose documents it may see.")] = "default",
    group: Annotated[
        list[str] | None, typer.Option(help="A group it belongs to; may be repeated.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A route, alias or pool it may call; repeat for more. Default: routes."),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="At most this many calls in any minute.")
    ] = None,
    expires: Annotated[
        datetime | None, typer.Option(help="The moment (UTC) from which it is refused.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once: the store keeps only a keyed hash of it.

    The key goes to standard output and all else to standard error, so that
    `KEY=$(headgate keys create --name me)` holds the key alone.
    """
    from headgate_gateway.keys import KeyRequest
    from headgate_gateway.keys import create as create_key

    request = KeyRequest(
        name=name,
        team=team,
        tenant=tenant,
        groups=tuple(group or ()),
        models=tuple(model or ()),
        requests_per_minute=requests_per_minute,
        expires=expires.replace(tzinfo=UTC) if expires else None,
    )
    if request.expires is not None and request.expires <= datetime.now(UTC):
        raise typer.BadParameter("a key cannot expire in the past", param_hint="--expires")
    if request.expires is not None and request.expires.year > LAST_YEAR:
        raise typer.BadParameter(f"the last year is {LAST_YEAR}", param_hint="--expires")
    settings = settings_of(config)
    _known_models(settings, request.models)
    _declared(settings, team)
    with _store(config) as store:
        plain, row = create_key(store, request)
    if as_json:
        _print_json({"key": plain, **_document(row)})
        return
    typer.echo(plain)
    typer.echo(
        f"Key {row.key_id} ({row.name}) works at once. It is not shown again: keep it now.\n"
        f"Take it back with: headgate keys revoke {row.key_id}",
        err=True,
    )


def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show all keys, revoked and expired ones too; never the keys themselves."""
    from headgate_gateway.keys import list_keys

    with _store(config) as store:
        rows = list_keys(store)
    if as_json:
        _print_json([_document(row) for row in rows])
        return
    if not rows:
        typer.echo("No keys yet. Make one with: headgate keys create --name NAME", err=True)
        return
    _print_table(rows)


def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, or an unambiguous beginning.")],
    config: ConfigOption = None,
) -> None:
    """Take a key back for good; running gateways refuse it within five seconds."""
    from headgate_gateway.keys import revoke as revoke_key

    with _store(config) as store:
        row = revoke_key(store, key_id)
    typer.echo(f"Key {row.key_id} ({row.name}) is revoked.", err=True)


def _known_models(settings: GatewaySettings, models: tuple[str, ...]) -> None:
    """Raises ``ConfigurationError`` for a name that no call could ever use."""
    from headgate_core.errors import ConfigurationError
    from headgate_core.plugins import unknown

    routes = [name for route in settings.routes for name in (route.name, *route.aliases)]
    known = sorted([*routes, *(pool.name for pool in settings.pools)])
    faults = [unknown("route, alias or pool", name, known) for name in models if name not in known]
    if faults:
        raise ConfigurationError("--model: " + " ".join(faults))


def _declared(settings: GatewaySettings, team: str) -> None:
    """Say so where a team has no limits because the configuration declares other teams only."""
    known = sorted({"default", *(one.name for one in settings.teams)})
    if settings.teams and team not in known:
        typer.echo(
            f"The configuration declares no team {team!r}, so the team has no limits of its own "
            f"(declared: {', '.join(known)}).",
            err=True,
        )


@contextmanager
def _store(config: str | None) -> Iterator[Store]:
    from headgate_core.store import Store

    store = Store.open(settings_of(config).store.url)
    try:
        yield store
    finally:
        store.close()


def _state(row: KeyRow) -> str:
    if row.revoked_unix_ns is not None:
        return "revoked"
    now = int(datetime.now(UTC).timestamp() * 10**9)
    return "valid" if row.valid_until(now) is not None else "expired"


def _document(row: KeyRow) -> dict[str, Any]:
    times = ("created_unix_ns", "expires_unix_ns", "revoked_unix_ns")
    plain = {name: value for name, value in row._asdict().items() if name not in times}
    moments = {name.partition("_")[0]: _moment(getattr(row, name)) for name in times}
    return {**plain, **moments, "state": _state(row)}


def _moment(unix_ns: int | None) -> str | None:
    return None if unix_ns is None else datetime.fromtimestamp(unix_ns // 10**9, UTC).isoformat()


def _print_json(value: Any) -> None:
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _print_table(rows: list[KeyRow]) -> None:
    from headgate_gateway.commands.tables import show

    columns = ("key id", "ends in", "name", "team", "tenant", "groups", "models", "/min", "state")
    show(
        columns,
        [
            (
                row.key_id,
                row.hint,
                row.name,
                row.team,
                row.tenant,
                " ".join(row.groups),
                " ".join(row.models) or "all routes",
                str(row.requests_per_minute or ""),
                _state(row),
            )
            for row in rows
        ],
    )
