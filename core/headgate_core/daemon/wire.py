"""Frames of the socket: 4 bytes of length (big-endian), then JSON; and how errors cross it.

A request is ``{id, op, args}``, its reply ``{id, ok}`` or ``{id, error: {class, message, …}}``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from headgate_core import errors
from headgate_core.errors import ConfigurationError, HeadgateError, ServiceError

log = logging.getLogger("headgate.daemon")

MAX_FRAME = 256 * 2**20
"""Bytes of one message."""


def frame(message: Mapping[str, Any]) -> bytes:
    """A message as bytes. Raises ``ServiceError`` when it is no JSON, or over ``MAX_FRAME``."""
    try:
        data = orjson.dumps(message)
    except TypeError as error:
        raise ServiceError(f"A value cannot be handed to another process: {error}.") from error
    if len(data) > MAX_FRAME:
        raise ServiceError(
            f"A message of {len(data)} bytes is over the limit of {MAX_FRAME} bytes between "
            "processes of this machine: send it in parts."
        )
    return len(data).to_bytes(4, "big") + data


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message; None when the other side closed. Raises ``ConnectionError``."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > MAX_FRAME:
            raise ConnectionError(f"a frame of {size} bytes")
        message: dict[str, Any] = orjson.loads(await reader.readexactly(size))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionError("the connection broke within a message") from error
        return None
    return message


def error_to_json(error: Exception) -> dict[str, Any]:
    """An error for the wire: ours as it is, any other one as a ``ServiceError`` (and logged)."""
    if not isinstance(error, HeadgateError):
        log.error("a request failed", exc_info=error)
        error = ServiceError(f"{type(error).__name__}: {error}")
    plain = {k: v for k, v in vars(error).items() if isinstance(v, str | int | float | None)}
    return {"class": type(error).__name__, "message": error.message, "members": plain}


def error_from_json(data: Mapping[str, Any]) -> HeadgateError:
    """The error again, of the same class if it is one of ``headgate_core.errors``."""
    message = str(data["message"])
    kind = _known(str(data["class"]))
    if kind is None:
        return ServiceError(message)
    # Constructors differ between the classes; the members carry what they would set.
    error = kind.__new__(kind)
    HeadgateError.__init__(error, message)
    if isinstance(error, ConfigurationError):
        error.problems = ()
    for name, value in data.get("members", {}).items():
        setattr(error, name, value)
    return error


def _known(name: str) -> type[HeadgateError] | None:
    found = getattr(errors, name, None)
    if not isinstance(found, type) or not issubclass(found, HeadgateError):
        return None
    return found if found.__module__.startswith(f"{errors.__name__}.") else None
