"""What a connection failed of: the kind of failure for callers, all the rest for the operator."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator

from headgate_core.egress import guard
from headgate_core.errors import UpstreamTruncated, UpstreamUnreachable

_ERRNO = {
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection was reset",
    errno.EPIPE: "the connection was reset",
    errno.EHOSTUNREACH: "there is no way to it",
    errno.ENETUNREACH: "there is no way to it",
}
_NAMED = {
    "ClientHttpProxyError": "its proxy refused",
    "ClientProxyConnectionError": "its proxy cannot be reached",
    "ServerDisconnectedError": "the connection was closed",
    "RemoteProtocolError": "the connection was closed",
    "ClientPayloadError": "the connection was closed",
}
"""Exceptions of HTTP clients; those of the interpreter are found behind others."""
_UNSAID = re.compile(r"(?<=://)[^/\s@]*@| ssl:(?:<[^>]*>|\w+)")
"""Passwords in addresses, and objects of the interpreter."""


def unreachable(error: BaseException, *, sent: bool) -> UpstreamUnreachable:
    """No reply came; ``sent`` is False where no connection came about."""
    refused = guard.refusal(error)
    if refused is not None:
        return refused
    failure = UpstreamUnreachable(f"Cannot reach the upstream: {kind(error)}.")
    failure.detail = f"Cannot reach the upstream: {reason(error)}."
    failure.sent = sent
    return failure


def cut_off(what: str, error: BaseException) -> UpstreamTruncated:
    """The connection broke while ``what`` was read, such as ``The reply``."""
    failure = UpstreamTruncated(f"{what} was cut off: {kind(error)}.")
    failure.detail = f"{what} was cut off: {reason(error)}."
    return failure


def kind(error: BaseException) -> str:
    """What happened, without a host, an address or a file: callers may read it."""
    causes = list(_causes(error))
    for cause in causes:
        if type(cause).__name__ in _NAMED:
            return _NAMED[type(cause).__name__]
    for cause in causes:
        if said := _plain(cause):
            return said
    return "the connection failed"


def _plain(cause: BaseException) -> str:
    if isinstance(cause, socket.gaierror):
        return "its name is not known"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(cause, ssl.SSLError):
        return "TLS failed"
    if isinstance(cause, ValueError):
        return "the request cannot be sent"
    return _ERRNO.get(getattr(cause, "errno", None) or 0, "")


def reason(error: BaseException) -> str:
    """What an exception says without passwords, or its name where it says nothing."""
    return _UNSAID.sub("", str(error)) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what it was raised from, the nearest first; of a group its first one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
