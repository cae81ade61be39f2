"""What every test runs under: no connection but loopback, no setting of who runs it."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from headgate_core.settings.environment import quiet_dependencies

quiet_dependencies()
# Threads of the embedding model sleep while they wait: beside other tests they would spin in vain.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

LONGEST = (
    "test_docs.py",
    "test_reload.py",
    "test_replay.py",
    "test_demo_suites.py",
    "test_offline.py",
    "test_together.py",
    "test_complaints_store.py",
    "test_draining.py",
)
"""Files that take longest come first: none of them is left to one worker at the end of a run."""

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


def pytest_collection_finish() -> None:
    """What all test files import stays: the garbage collector need not look at it again, which
    else stops a test for as long as its timers."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of ``LONGEST`` first, in its order; all others as they were found."""
    rank = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))
