"""A request's body that notes when it goes onto the wire; importing this imports aiohttp."""

from __future__ import annotations

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload

from headgate_core.reply import Sending


class NotedBody(BytesPayload):
    """Bytes of which ``sending`` hears when the connection stands and the first one is written.

    Headers wait for the body's first bytes, so nothing has gone out before.
    """

    def __init__(self, value: bytes, sending: Sending) -> None:
        super().__init__(value, content_type="application/json")
        self._sending = sending
        sending.begun = False

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write as aiohttp does, once that is noted."""
        self._sending.begun = True
        await super().write_with_length(writer, content_length)
