"""What went wrong in a call of litellm's SDK, by the wire first and then by its words."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Collection, Iterator
from pathlib import PurePath

from headgate_core.egress import guard
from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUnreachable,
    UpstreamUntranslated,
)
from headgate_gateway.sdk.classes import NO_CALL, classified
from headgate_gateway.sdk.fetches import refused_fetch
from headgate_gateway.sdk.wire import Wire
from headgate_gateway.upstream import broken

log = logging.getLogger("headgate.providers")

_PREFIX = re.compile(
    r"^(?:litellm\.)?(?:Timeout |[A-Za-z_]*)(?:Error|Exception|Timeout)(?: -|:)(?: |$)"
)
"""``litellm.BadRequestError: OpenAIException - ``: one part of what the SDK puts before."""
_OWN = re.compile(r"litellm|BerriAI|site-packages|\.py\b|Traceback|MidStream|[a-z]Exception\b")
"""Signs that a sentence is about the SDK itself, not about the call."""
_SENTENCES = re.compile(r"(?<=[.!?;]) +|[\r\n]+")
_LONGEST = 500
_CODES = {
    "ContextWindowExceededError": "context_length_exceeded",
    "ContentPolicyViolationError": "content_policy_violation",
}
"""What the SDK has found out from the provider's words, which need not say it in a code."""
_NO_CONNECTION = frozenset({"ConnectError", "ConnectTimeout", "ClientConnectorError"})
"""What the SDK's HTTP clients raise before anything was sent."""
_CONNECTED = frozenset({"ClientOSError", "ConnectionResetError", "BrokenPipeError"})
"""What is behind them where there was a connection, and it broke."""
_CLIENTS = frozenset(
    [
        "aiohttp",
        "azure",
        "boto3",
        "botocore",
        "google",
        "grpc",
        "httpcore",
        "httpx",
        "msal",
        "requests",
        "urllib3",
    ]
)
"""Packages that connect, or look for credentials; whatever they raise is no caller's fault."""
_NO_TIME = frozenset({"Timeout", "APITimeoutError", "TimeoutException", "ReadTimeout"})


def mapped(error: Exception, wire: Wire | None = None) -> UpstreamError:
    """The SDK's exception as one of ours; a status is believed where a reply with it came."""
    if (refused := refused_fetch(error)) is not None:
        return refused
    if (kept_in := guard.refusal(error)) is not None:
        return kept_in
    if wire is not None and wire.status:
        return _answered(error, wire)
    if (unconnected := unreachable(error)) is not None:
        return unconnected
    if _behind(error, _NO_TIME) is not None or isinstance(error, TimeoutError):
        return UpstreamTimeout("The upstream did not answer in time.")
    if wire is not None and wire.failure is not None:
        return UpstreamUnreachable("The connection to the upstream broke before a reply came.")
    return classified(error, plain(str(getattr(error, "message", "") or error)))


def may_be_callers(error: Exception, found: UpstreamError) -> bool:
    """Whether an exception, raised before anything was sent, may be about the caller's request.

    Not where it is about the key or the model, nor where a client that is not watched has sent.
    """
    if any(_is_of_clients(cause) for cause in _chain(error)):
        return False
    if isinstance(found, UpstreamStatus):
        return found.http_status in (400, 422) and found.error_code not in _CODES.values()
    return type(found) is UpstreamError


def untranslated(found: UpstreamError, member: str) -> UpstreamUntranslated:
    """What was found, as the fault of a member of the caller's; empty = of no single one."""
    what = f"`{member}`" if member else "this request"
    failure = UpstreamUntranslated(
        f"The SDK for this provider cannot translate {what} as it is. Nothing was sent.",
        param=member or None,
        code=None if member else "invalid_request",
    )
    failure.detail = failure.message
    if isinstance(found, UpstreamStatus) and found.message != NO_CALL:
        failure.message = f"{failure.message} It says: {found.message}"
    return failure


def _is_of_clients(error: BaseException) -> bool:
    package = type(error).__module__.partition(".")[0]
    return package in _CLIENTS or isinstance(error, OSError | ImportError)


def _answered(error: Exception, wire: Wire) -> UpstreamError:
    """A reply came, or its beginning: what is wrong with it, else that the SDK cannot read it."""
    fault = wire.fault(over=True)
    if isinstance(fault, UpstreamStatus):
        found = _CODES.get(type(error).__name__)
        if found is not None and fault.error_code not in _CODES.values():
            fault.error_code = fault.upstream_code = found
    if fault is not None:
        return fault
    if _behind(error, _NO_TIME) is not None:
        return UpstreamTimeout("The upstream did not go on in time.")
    return wire.unread or UpstreamMalformed(
        "The upstream's reply is not shaped like one of this provider."
    )


def unreachable(error: BaseException) -> UpstreamUnreachable | None:
    """No connection came about, as one of the exceptions behind the SDK's own says; else None."""
    cause = _behind(error, _NO_CONNECTION)
    if cause is None or _behind(error, _CONNECTED) is not None:
        return None
    return broken.unreachable(cause, sent=False)


def plain(message: str) -> str:
    """A message without the SDK's own names, advice, addresses and tracebacks; one line."""
    message = message.split("Traceback (most recent call last)", 1)[0].strip()
    while (shorter := _PREFIX.sub("", message, count=1)) != message:
        message = shorter
    kept = [s.strip() for s in _SENTENCES.split(message) if s.strip() and not _OWN.search(s)]
    return " ".join(kept)[:_LONGEST] or NO_CALL


def noted(error: BaseException, call_id: str) -> None:
    """Write what the SDK raised, and where, to the log; no words of its, they may be a caller's."""
    chain = " < ".join(_place(cause) for cause in _chain(error))
    log.warning("call %s: litellm's SDK raised %s", call_id, chain)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{where}"


def _behind(error: BaseException, names: Collection[str]) -> BaseException | None:
    """The first exception of such a name among the error and what it was raised from."""
    return next((cause for cause in _chain(error) if type(cause).__name__ in names), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
