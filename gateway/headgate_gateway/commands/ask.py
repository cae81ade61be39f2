"""``headgate ask``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from headgate_core.context import Context
    from headgate_core.settings.gateway import GatewaySettings
    from headgate_core.store.calls import StoredCall


def register(app: typer.Typer) -> None:
    """Add ``ask``."""
    app.command()(ask)


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    model: Annotated[
        str | None, typer.Option(help="Route, alias or pool; default: the first route.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask one question through the whole pipeline; shows citations, call id, scores and cost."""
    settings = settings_of(config)
    ctx, stored = asyncio.run(_asked(settings, question, model or _default(settings)))
    if ctx.error is not None:
        raise ctx.error
    if as_json:
        from headgate_gateway.commands.answer import as_document

        typer.echo(as_document(ctx, stored))
    else:
        from headgate_gateway.commands.answer import as_text

        typer.echo(as_text(ctx, stored))


def _default(settings: GatewaySettings) -> str:
    return settings.routes[0].name if settings.routes else settings.pools[0].name


async def _asked(
    settings: GatewaySettings, question: str, model: str
) -> tuple[Context, StoredCall]:
    from headgate_core.store.calls import get_call
    from headgate_gateway.build import Gateway

    gateway = await Gateway.open(settings)
    try:
        ctx = gateway.context(model, {"messages": [{"role": "user", "content": question}]})
        await gateway.complete(ctx)
        await gateway.finish_services()
        await gateway.flush()
        return ctx, await asyncio.to_thread(get_call, gateway.store, ctx.call_id)
    finally:
        await gateway.close()
