"""What every test runs under: no connection but loopback, no setting of who runs it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from headgate_core.settings.environment import quiet_dependencies

quiet_dependencies()

_CONNECT = socket.socket.connect
_CONNECT_EX = socket.socket.connect_ex


def _allowed(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a unix socket
    try:
        return ipaddress.ip_address(str(address[0])).is_loopback
    except ValueError:
        return str(address[0]) == "localhost"


def _connect(self: socket.socket, address: Any) -> None:
    if not _allowed(address):
        raise AssertionError(f"a test tried to connect to {address}")
    _CONNECT(self, address)


def _connect_ex(self: socket.socket, address: Any) -> int:
    if not _allowed(address):
        raise AssertionError(f"a test tried to connect to {address}")
    return _CONNECT_EX(self, address)


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Every connection of this process beyond loopback fails the test that tries it."""
    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", _connect)
    patch.setattr(socket.socket, "connect_ex", _connect_ex)
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name in ("HEADGATE_CONFIG", "HEADGATE_URL", "HEADGATE_KEY"):
            monkeypatch.delenv(name)
