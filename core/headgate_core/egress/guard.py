"""The list in force, and whether a connection that is about to be opened may be.

There is one guard in a process, because connections belong to the process: libraries open most of
them. While a reload is under way, what the old or the new configuration allows is allowed.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from weakref import WeakKeyDictionary

from headgate_core.egress.allow import AllowList
from headgate_core.egress.hooks import Gate, install
from headgate_core.egress.names import Peer, same
from headgate_core.errors import EgressRefused

log = logging.getLogger("headgate.egress")

MOST_ADDRESSES = 4096
"""Addresses whose names are known. One that falls out is known again when it is looked up."""
MOST_TOLD = 256
"""Hosts that the log has named already."""


class RefusedConnection(PermissionError):
    """What code that opens a socket gets: to a library it is a connection that failed."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(said(peer))


_lists: WeakKeyDictionary[object, AllowList | None] = WeakKeyDictionary()
_resolved: OrderedDict[str, dict[str, None]] = OrderedDict()
_told: set[str] = set()
_force: frozenset[AllowList] | None = None
"""What is in force; None = nothing is refused."""
_changes = 0


def enforce(owner: object, allow: AllowList | None) -> None:
    """From now on ``owner`` wants this list; None = it refuses nothing."""
    if allow is not None:
        install(Gate(check_name, check_address, note))
    _lists[owner] = allow
    _changed()


def settle(owner: object) -> None:
    """Only the list of ``owner`` counts from now on."""
    for other in [one for one in _lists if one is not owner]:
        del _lists[other]
    _changed()


def release(owner: object) -> None:
    """The list of ``owner`` counts no more."""
    if owner in _lists:
        del _lists[owner]
        _changed()


def changes() -> int:
    """A number that is another one after each change of what is in force."""
    return _changes


def allows(host: str, port: int | None = None) -> bool:
    """Whether the process may connect to ``host``."""
    force = _force
    return force is None or any(one.allows(host, port) for one in force)


def insist(host: str, port: int | None = None) -> None:
    """Raises ``EgressRefused`` where ``host`` may not be connected to."""
    if not allows(host, port):
        peer = _peer(host, port)
        _tell(peer)
        raise _refused(said(peer))


def check_name(host: str, port: int | None) -> None:
    """Before a name is looked up. Raises ``RefusedConnection``."""
    if isinstance(same(host), str) and not allows(host, port):
        _refuse(_peer(host, port))


def check_address(host: str, port: int | None) -> None:
    """Before a socket is connected: to what is allowed itself, or what an allowed name led to.

    Raises ``RefusedConnection``.
    """
    names = _resolved.get(str(same(host)), ())
    if not allows(host, port) and not any(allows(name, port) for name in tuple(names)):
        _refuse(_peer(host, port))


def note(name: str, addresses: Iterable[str]) -> None:
    """Remember that ``name`` led to these addresses."""
    for address in addresses:
        key = str(same(address))
        names = _resolved.pop(key, {})
        _resolved[key] = {**names, name: None}
    while len(_resolved) > MOST_ADDRESSES:
        _resolved.popitem(last=False)


def refusal(error: BaseException | None) -> EgressRefused | None:
    """The guard's refusal among an exception and what it was raised from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, RefusedConnection):
            return _refused(str(error))
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _refused(said: str) -> EgressRefused:
    """Callers do not read which host it was."""
    failure = EgressRefused("The gateway may not connect to this target's host (`egress.allow`).")
    failure.detail = said
    return failure


def said(peer: Peer) -> str:
    """Why a connection is refused, and what the operator can do."""
    return (
        f"The gateway may not connect to {peer}: it is not in `egress.allow`. "
        f"To allow it, add {str(peer)!r} there."
    )


def _peer(host: str, port: int | None) -> Peer:
    """The usual ports go without saying in the entry that is proposed."""
    return Peer(host, port, written=port not in (80, 443))


def _refuse(peer: Peer) -> None:
    _tell(peer)
    raise RefusedConnection(peer)


def _tell(peer: Peer) -> None:
    """Each host once: a library may try a hundred times."""
    if str(peer) not in _told and len(_told) < MOST_TOLD:
        _told.add(str(peer))
        log.warning("%s", said(peer))


def _changed() -> None:
    global _changes, _force
    lists = list(_lists.values())
    force = frozenset(one for one in lists if one is not None)
    before, _force = _force, force if lists and None not in lists else None
    if _force != before:
        _changes += 1
        _told.clear()
