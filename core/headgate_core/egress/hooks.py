"""Where the guard stands: at the sockets of the interpreter and at those of uvloop.

Every way by which Python code opens a connection passes here, whatever library it is in: it looks
a name up and connects a socket, by the interpreter's functions or, on uvloop, by those of the
loop, which works in C. An address that no look-up here led to must be listed itself, so that a
resolver of somebody else's is no way around.
"""

from __future__ import annotations

import functools
import importlib
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from headgate_core.egress.datagrams import Told

_INTERNET = (socket.AF_INET, socket.AF_INET6)


class Gate(NamedTuple):
    """What is asked; the first two get host and port, and raise where that is forbidden."""

    name: Callable[[str, int | None], None]
    """Before a name is looked up."""
    address: Callable[[str, int | None], None]
    """Before a socket is connected."""
    note: Callable[[str, Iterable[str]], None]
    """Hears what a name led to."""


@functools.cache
def install(gate: Gate) -> None:
    """Stand guard in this process from now on; a second time does nothing."""
    plain: Any = socket
    plain.getaddrinfo = _looking_up(gate, socket.getaddrinfo)
    kind: Any = socket.socket
    for method in ("connect", "connect_ex", "sendto", "sendmsg"):
        setattr(kind, method, _connecting(gate, getattr(kind, method), method))
    try:
        loop = importlib.import_module("uvloop").Loop
    except ImportError:
        return
    _guard_loop(gate, loop)


def _looking_up(gate: Gate, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def getaddrinfo(host: Any, port: Any, *args: Any, **named: Any) -> Any:
        _ask(gate.name, host, port)
        found = original(host, port, *args, **named)
        _note(gate, host, found)
        return found

    return getaddrinfo


def _connecting(gate: Gate, original: Callable[..., Any], method: str) -> Callable[..., Any]:
    """A message may go to an address of its own, or to none; it is the last argument."""
    least = {"sendto": 2, "sendmsg": 4}.get(method, 1)

    @functools.wraps(original)
    def guarded(sock: socket.socket, *args: Any) -> Any:
        if sock.family in _INTERNET and len(args) >= least and isinstance(args[-1], tuple):
            host, port = (*args[-1], None)[:2]
            _ask_address(gate, host, port, sock.family)
        return original(sock, *args)

    return guarded


def _guard_loop(gate: Gate, loop: Any) -> None:
    """``loop``: uvloop's class of loops."""
    look_up, connect = loop.getaddrinfo, loop.create_connection
    datagrams = loop.create_datagram_endpoint

    @functools.wraps(look_up)
    async def getaddrinfo(self: Any, host: Any, port: Any, **named: Any) -> Any:
        _ask(gate.name, host, port)
        found = await look_up(self, host, port, **named)
        _note(gate, host, found)
        return found

    @functools.wraps(connect)
    async def create_connection(
        self: Any, protocol_factory: Any, host: Any = None, port: Any = None, **named: Any
    ) -> Any:
        _ask_address(gate, host, port)
        return await connect(self, protocol_factory, host, port, **named)

    @functools.wraps(datagrams)
    async def create_datagram_endpoint(
        self: Any, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **n: Any
    ) -> Any:
        if isinstance(remote_addr, tuple):
            _ask_address(gate, *remote_addr[:2])

        def factory() -> Told:
            return Told(protocol_factory(), functools.partial(_ask_address, gate))

        _, told = await datagrams(self, factory, local_addr, remote_addr, **n)
        return told.transport, told.protocol

    loop.getaddrinfo = getaddrinfo
    loop.create_connection = create_connection
    loop.create_datagram_endpoint = create_datagram_endpoint


def _ask_address(gate: Gate, host: Any, port: Any = None, family: int = socket.AF_INET) -> None:
    if host in ("", b""):  # a socket takes it for this machine
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    _ask(gate.address, host, port)


def _ask(check: Callable[[str, int | None], None], host: Any, port: Any = None) -> None:
    if host:
        check(_text(host), _number(port))


def _note(gate: Gate, host: Any, found: Sequence[Any]) -> None:
    if host:
        gate.note(_text(host), [str(entry[4][0]) for entry in found if entry[0] in _INTERNET])


def _text(host: Any) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)


def _number(port: Any) -> int | None:
    """The port where it is said in digits; a service's name is checked when it is connected to."""
    try:
        return int(port) or None
    except (TypeError, ValueError):
        return None
