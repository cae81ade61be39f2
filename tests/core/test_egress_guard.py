"""The guard at the sockets: whatever opens a connection, the list decides."""

from __future__ import annotations

import asyncio
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
import uvloop

from headgate_core.egress import guard
from headgate_core.egress.allow import AllowList
from headgate_core.errors import EgressRefused


class Owner:
    """Somebody who wants a list."""


@contextmanager
def only(*entries: str) -> Iterator[Owner]:
    owner = Owner()
    guard.enforce(owner, AllowList.of(entries))
    try:
        yield owner
    finally:
        guard.release(owner)


@pytest.fixture
def near() -> Iterator[int]:
    """A port where connections are taken, on 127.0.0.1, which is also `localhost`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_greet, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _greet(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
            )


def plain_socket(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=5):
        pass


def unresolved_socket(host: str, port: int) -> None:
    with socket.socket() as made:
        made.settimeout(5)
        made.connect((host, port))


def standard_library(host: str, port: int) -> None:
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=5) as response:
        assert response.read() == b"ok"


async def _stream(host: str, port: int) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.close()
    await writer.wait_closed()


async def _sock_connect(host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, family=socket.AF_INET, type=socket.SOCK_STREAM)
    with socket.socket() as made:
        made.setblocking(False)
        await loop.sock_connect(made, found[0][4])


async def _aiohttp(host: str, port: int) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/") as reply:
        assert await reply.text() == "ok"


def on(factory: Callable[[], Any], work: Callable[[str, int], Awaitable[None]]) -> Any:
    def connect(host: str, port: int) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_awaited(work, host, port))

    return connect


async def _awaited(work: Callable[[str, int], Awaitable[None]], host: str, port: int) -> None:
    await work(host, port)


WAYS = {
    "socket": plain_socket,
    "a name given to connect": unresolved_socket,
    "urllib": standard_library,
    **{
        f"{work.__name__} on {name}": on(factory, work)
        for work in (_stream, _sock_connect, _aiohttp)
        for name, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.Loop))
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_only_listed_hosts_are_connected_to(way: str, near: int) -> None:
    connect = WAYS[way]
    with only("localhost"):
        connect("localhost", near)
    with only(f"127.0.0.1:{near}"):
        connect("127.0.0.1", near)
        with pytest.raises((OSError, aiohttp.ClientError)) as refused:
            connect("localhost", near)
        assert isinstance(guard.refusal(_behind(refused.value)), EgressRefused)
    with only("elsewhere", f"127.0.0.1:{near + 1}", "127.0.0.2"):
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises((OSError, aiohttp.ClientError)) as refused:
                connect(host, near)
            found = guard.refusal(_behind(refused.value))
            assert isinstance(found, EgressRefused)
            assert f"{host}:{near}" in str(found)
    connect("127.0.0.1", near)  # no list any more


def _behind(error: BaseException) -> BaseException:
    """urllib keeps what it met in ``reason``."""
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, BaseException) else error


def test_a_thread_is_guarded_as_well(near: int) -> None:
    with only(), ThreadPoolExecutor(1) as pool, pytest.raises(guard.RefusedConnection):
        pool.submit(plain_socket, "127.0.0.1", near).result(10)


def test_a_datagram_is_guarded_as_well() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        with only("127.0.0.2"), pytest.raises(guard.RefusedConnection):
            sender.sendto(b"x", receiver.getsockname())
        with only("127.0.0.1"):
            sender.sendto(b"x", receiver.getsockname())
        receiver.settimeout(5)
        assert receiver.recv(9) == b"x"


class Heard(asyncio.DatagramProtocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.made: asyncio.BaseTransport | None = None
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.errors: list[Exception] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.data.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.Loop])
def test_a_datagram_of_a_loop_is_guarded_wherever_it_goes(factory: Callable[[], Any]) -> None:
    async def talk() -> None:
        loop = asyncio.get_running_loop()
        near = ("127.0.0.1", 0)
        one, hears = await loop.create_datagram_endpoint(Heard, local_addr=near)
        other, says = await loop.create_datagram_endpoint(Heard, local_addr=near)
        with only("127.0.0.1"):
            other.sendto(b"no", ("127.0.0.2", one.get_extra_info("sockname")[1]))
            assert isinstance(says.errors.pop(), guard.RefusedConnection)
            other.sendto(b"yes", one.get_extra_info("sockname"))
            assert await asyncio.wait_for(hears.data.get(), 5) == b"yes"
        assert says.made is other and other.get_protocol() is says and not says.errors
        for transport in (one, other):
            transport.close()
            assert transport.is_closing()
        await asyncio.sleep(0)

    with only("127.0.0.1"), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(talk())


def test_no_host_is_this_machine(near: int) -> None:
    with only("127.0.0.2"), pytest.raises(guard.RefusedConnection, match=r"127\.0\.0\.1"):
        unresolved_socket("", near)


def test_unix_sockets_and_listening_are_free() -> None:
    with only():
        one, other = socket.socketpair()
        with one, other, socket.create_server(("127.0.0.1", 0)):
            one.sendall(b"x")
            assert other.recv(1) == b"x"


def test_while_a_list_replaces_another_both_hold_and_then_the_new_one_alone(near: int) -> None:
    with only("127.0.0.1") as before:
        seen = guard.changes()
        with only("127.0.0.2") as after:
            plain_socket("127.0.0.1", near)
            guard.settle(after)
            assert guard.changes() != seen
            with pytest.raises(guard.RefusedConnection):
                plain_socket("127.0.0.1", near)
            guard.release(before)
        plain_socket("127.0.0.1", near)


def test_the_same_list_again_is_no_change() -> None:
    with only("127.0.0.1"):
        seen = guard.changes()
        with only("127.0.0.1") as again:
            guard.settle(again)
            assert guard.changes() == seen


def test_an_address_behind_a_listed_name_is_reached_at_the_listed_port_alone(near: int) -> None:
    with only(f"localhost:{near}"):
        found = socket.getaddrinfo("localhost", None, socket.AF_INET, socket.SOCK_STREAM)
        unresolved_socket(str(found[0][4][0]), near)
        with pytest.raises(guard.RefusedConnection):
            unresolved_socket(str(found[0][4][0]), near + 1)


def test_the_log_names_a_refused_host_once(caplog: pytest.LogCaptureFixture) -> None:
    with only("localhost"):
        for _ in range(3):
            with pytest.raises(guard.RefusedConnection):
                plain_socket("127.0.0.2", 8000)
    assert len([r for r in caplog.records if r.name == "headgate.egress"]) == 1
    assert "127.0.0.2:8000" in caplog.text
