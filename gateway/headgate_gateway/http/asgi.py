"""The few pieces of ASGI that the hot path needs; no framework between us and the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

import orjson

from headgate_core.errors import InvalidRequest, RequestError, TooLarge
from headgate_core.types import Json
from headgate_gateway.http.long_numbers import refuse_rounded
from headgate_gateway.nesting import MOST_LEVELS, too_deep, writable

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

JSON_TYPE = "application/json"


class Hangup(Exception):
    """The client went away while its body was being read."""


class MethodNotAllowed(RequestError):
    """The path is served, but not for this method."""

    status = 405
    code = "method_not_allowed"


def header(scope: Scope, name: bytes) -> str:
    """The first header of that (lower-case) name, or an empty text."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return ""


async def read_body(receive: Receive, most: int) -> bytes:
    """The whole request body. Raises ``TooLarge`` or ``Hangup``."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Hangup
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            raise TooLarge(f"The body is larger than server.max_body_mb = {most / 1e6:g}.")
        pieces.append(piece)
        if not message.get("more_body"):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def parse_object(data: bytes) -> Json:
    """The body as a JSON object. Raises ``InvalidRequest``."""
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.")
    if too_deep(data, body):
        where = next((name for name, value in body.items() if not writable([value])), None)
        raise InvalidRequest(
            f"{f'`{where}`' if where else 'The body'} is nested deeper than {MOST_LEVELS} levels.",
            param=where,
        )
    refuse_rounded(data, body)
    return body


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Header pairs as bytes; line ends cannot be smuggled in."""
    return [
        (k.encode("latin-1"), v.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace"))
        for k, v in headers
    ]


async def respond(
    send: Send, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    """One complete JSON response (or any other type, when ``headers`` say so)."""
    merged = {"content-type": JSON_TYPE, "content-length": str(len(body)), **(headers or {})}
    await send(
        {"type": "http.response.start", "status": status, "headers": encoded(merged.items())}
    )
    await send({"type": "http.response.body", "body": body})


async def respond_json(
    send: Send, status: int, body: Any, headers: dict[str, str] | None = None
) -> None:
    """``body`` as JSON."""
    await respond(send, status, orjson.dumps(body), headers)
