"""Datagrams of uvloop's: it sends them in C, each one to an address of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

Check = Callable[[Any, Any], None]
"""Gets host and port; raises ``OSError`` where that is forbidden."""


class Told:
    """A protocol whose transport asks before it sends; all else is the protocol's own."""

    def __init__(self, protocol: Any, check: Check) -> None:
        self.protocol = protocol
        self.transport: Any = None
        self._check = check

    def connection_made(self, transport: Any) -> None:
        """The loop's transport is ready; the protocol gets one that asks."""
        sock = transport.get_extra_info("socket")
        internet = sock is None or sock.family in (socket.AF_INET, socket.AF_INET6)
        self.transport = Asking(transport, self, self._check) if internet else transport
        self.protocol.connection_made(self.transport)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.protocol, name)


class Asking(asyncio.DatagramTransport):
    """The loop's transport; what may not be sent is an error that the protocol hears of."""

    def __init__(self, transport: Any, told: Told, check: Check) -> None:
        super().__init__()
        self._transport = transport
        self._told = told
        self._check = check

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send, if that is allowed."""
        if isinstance(addr, tuple):
            try:
                self._check(*addr[:2])
            except OSError as error:
                self.get_protocol().error_received(error)
                return
        self._transport.sendto(data, addr)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the loop knows of it."""
        return self._transport.get_extra_info(name, default)

    def get_protocol(self) -> Any:
        """The protocol as it was given."""
        return self._told.protocol

    def set_protocol(self, protocol: Any) -> None:
        """Another protocol from now on."""
        self._told.protocol = protocol

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return bool(self._transport.is_closing())

    def close(self) -> None:
        """Close it when what waits has been sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
