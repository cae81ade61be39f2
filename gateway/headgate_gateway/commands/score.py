"""``headgate score``."""

from __future__ import annotations

import asyncio
import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, cast

import typer

from headgate_gateway.commands.common import ConfigOption, JsonOption, settings_of

if TYPE_CHECKING:
    from headgate_core.records import FeedbackRecord
    from headgate_core.settings.gateway import GatewaySettings
    from headgate_core.settings.routes import Capture
    from headgate_gateway.feedback import Given

GIVER = "command line"
"""Stands for the key of feedback that is given here."""


class Source(StrEnum):
    """Who judges."""

    PERSON = "person"
    APPLICATION = "application"


def register(app: typer.Typer) -> None:
    """Add ``score``."""
    app.command()(score)


def score(  # noqa: PLR0913 - each is an option of the command line
    call_id: Annotated[str, typer.Argument(help="A call's id, or an unambiguous beginning.")],
    value: Annotated[
        str, typer.Option(help="true, false, a number, or any other text as a category.")
    ],
    name: Annotated[str, typer.Option(help="What is judged.")] = "user",
    comment: Annotated[str, typer.Option(help="The reason in words.")] = "",
    source: Annotated[Source, typer.Option(help="Who judges.")] = Source.PERSON,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give feedback on a call; feedback of the same name that was given here is replaced."""
    from headgate_gateway.feedback import document, parsed

    given = parsed(
        {
            "call_id": call_id,
            "value": _value(value),
            "name": name,
            "comment": comment,
            "source": source.value,
        }
    )
    stored = asyncio.run(_stored(settings_of(config), given))
    if as_json:
        import orjson

        typer.echo(orjson.dumps(document(stored), option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(f"{stored['name']} of call {stored['call_id']}: {value}")
    if stored["comment_status"] == "not_captured":
        typer.echo(
            "The comment was not kept: the `capture` of the call's route is `none`.", err=True
        )


def _value(text: str) -> bool | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


async def _stored(settings: GatewaySettings, given: Given) -> FeedbackRecord:
    from headgate_core.store import Store
    from headgate_core.store.calls import get_call
    from headgate_core.store.feedback import made, write_feedback
    from headgate_gateway.feedback import recorded, strictest

    store = await asyncio.to_thread(Store.open, settings.store.url)
    try:
        call = (await asyncio.to_thread(get_call, store, given.call_id)).record
        capture = strictest(*_captures(settings, call["route"], call["capture"]))
        record = await recorded(given, call["call_id"], GIVER, capture, None)
        with store.begin() as db:
            return write_feedback(db, made(record))
    finally:
        store.close()


def _captures(settings: GatewaySettings, route: str, then: str) -> list[Capture]:
    """What the call's record says, and what its route says now."""
    found: list[Capture] = [cast("Capture", then)]
    found += [
        known.capture or settings.defaults.capture
        for known in settings.routes
        if known.name == route
    ]
    if any(pool.name == route for pool in settings.pools):
        found.append(settings.defaults.capture)
    return found
