"""What really came over the wire for one call of the SDK, seen below the SDK's own reading.

The SDK ends a stream that was cut off as if it were whole, and calls a reply that it cannot read
the caller's mistake. So its HTTP transports are watched: the status, the headers, and the bytes.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any

from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headgate_core.types import Json
from headgate_gateway.replies.salvage import is_page
from headgate_gateway.sdk.stream_ends import Framing, framing
from headgate_gateway.sse import SseTooLarge
from headgate_gateway.upstream import lenient_json
from headgate_gateway.upstream.errors import reported, status_error

_KEPT = 1024 * 1024
"""Bytes of a reply in one piece that are kept to see what is wrong with it."""
_HEAD = 16
_TOKENS = re.compile(rb'"\w*(?:usage|token|eval_count)\w*"\s*:\s*[{\d]', re.IGNORECASE)
"""A member that counts tokens, by whatever name a provider gives it."""
_TRANSPORTS = (
    ("litellm.llms.custom_httpx.aiohttp_transport", "LiteLLMAiohttpTransport"),
    ("httpx", "AsyncHTTPTransport"),
)
_NO_TIME = frozenset({"TimeoutException", "ReadTimeout", "WriteTimeout", "PoolTimeout"})
_current: ContextVar[Wire | None] = ContextVar("headgate_wire", default=None)

Send = Callable[[Any, Any], Awaitable[Any]]


class Wire:
    """The last reply that a call of the SDK got; ``status`` is 0 before there is one."""

    def __init__(self, owner: str = "") -> None:
        """``owner`` names the provider that the call is for."""
        self.owner = owner
        self.asks()

    def asks(self) -> None:
        """A request goes out; what an earlier one got (a token for the real one) is forgotten."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.failure: Exception | None = None
        """What ended the connection before the reply was over."""
        self.over = False
        """The body was read to its end, or the connection broke."""
        self._came = False
        self._begun = b""
        self._kept = bytearray()
        self._large = False
        self._framing: Framing | None = None
        self.unread: UpstreamMalformed | None = None
        """A stream's event that cannot be read here; whether the SDK can is its own business."""
        self._watched = True
        self._torn = False

    @contextmanager
    def listening(self) -> Iterator[Wire]:
        """Requests of the SDK within the block are this call's."""
        token = _current.set(self)
        try:
            yield self
        finally:
            _current.reset(token)

    def answered(self, status: int, headers: dict[str, str]) -> None:
        """A reply has begun."""
        self.status, self.headers = status, headers
        if status < 400:
            self._framing = framing(headers.get("content-type", ""), b"")

    def take(self, data: bytes) -> None:
        """Bytes of the body, decompressed."""
        self._came = self._came or bool(data)
        if not self._watched:
            return
        if self._framing is None and not self._large:
            data = self._sorted(data)
        if self._framing is None:
            return
        try:
            self._framing.feed(data)
        except SseTooLarge:
            self._watched = False
        except (UpstreamMalformed, AttributeError, TypeError, ValueError) as error:
            self._watched = False
            self.unread = UpstreamMalformed("The stream holds an event that cannot be read.")
            self.unread.__cause__ = error

    def ends(self, failure: Exception | None = None) -> None:
        """The body is over."""
        self.over = True
        self.failure = failure
        if self._framing is not None and failure is None and self._watched:
            self._torn = self._framing.torn()

    @property
    def kept(self) -> bytes:
        """The reply in one piece as far as it came; empty for streams and very large ones."""
        return bytes(self._kept)

    @property
    def tells_tokens(self) -> bool | None:
        """Whether the reply in one piece counts tokens itself; None = it cannot be seen."""
        if not self._kept or self._is_foreign():
            return None
        heads = any("token" in name for name in self.headers)
        return heads or _TOKENS.search(self._kept) is not None

    @property
    def knows(self) -> bool:
        """Whether the reply is a stream of a provider whose end is known, so far."""
        return self._watched and self._framing is not None and self._framing.ends.known

    def fault(self, *, over: bool = False) -> UpstreamError | None:
        """What is wrong with the reply so far; None = nothing that can be seen.

        ``over`` says that nothing more will be read, though the body may go on.
        """
        if self.status >= 400:
            return status_error(self.status, self.headers, bytes(self._kept))
        if self._framing is not None:
            return self._stream_fault(self._framing, over=over or self.over)
        if self.failure is not None:
            return self._broken(self.failure)
        return self._whole_fault() if over or self.over else None

    def _sorted(self, data: bytes) -> bytes:
        """Find out what the body is; the bytes that its framing has not seen."""
        self._kept += data
        if self.status < 400 and len(self._begun) < _HEAD:
            self._begun = bytes(self._kept)
            self._framing = framing(self.headers.get("content-type", ""), self._begun)
            if self._framing is not None:
                self._kept.clear()
                return self._begun
        if len(self._kept) > _KEPT:
            self._large = True
            self._kept.clear()
        return data

    def _stream_fault(self, stream: Framing, *, over: bool) -> UpstreamError | None:
        ends = stream.ends
        if ends.error is not None or not over:
            return ends.error
        if self.failure is not None and not (ends.closed and ends.ended):
            return self._broken(self.failure)
        if not self._came:
            return UpstreamTruncated("The stream ended before it began.")
        if self._torn:
            return UpstreamTruncated("The stream ended in the middle of an event.")
        if self.knows and not ends.ended:
            return UpstreamTruncated("The stream ended without a finish_reason.")
        return None

    def _whole_fault(self) -> UpstreamError | None:
        if self._large or not self.status or self._is_foreign():
            return None
        if not self._kept.strip():
            return UpstreamMalformed("The upstream's reply is empty.")
        try:
            body: Any = lenient_json.loads(self.kept)
        except ValueError:
            failure = UpstreamMalformed("The upstream's reply is not JSON.")
            failure.worked = not is_page(self.kept)
            return failure
        found: Json | None = body[0] if isinstance(body, list) and body else body
        return reported(found) if isinstance(found, dict) else None

    def _is_foreign(self) -> bool:
        """Whether it may be a stream in a form of its own, of which nothing can be told."""
        kind = self.headers.get("content-type", "")
        return bool(kind) and not ("json" in kind or "html" in kind)

    def _broken(self, failure: Exception) -> UpstreamError:
        if type(failure).__name__ in _NO_TIME or isinstance(failure, TimeoutError):
            return UpstreamTimeout("The upstream did not go on in time.")
        what = "stream" if self._framing is not None else "reply"
        return UpstreamTruncated(f"The {what} was cut off: the connection broke.")


def owner() -> str:
    """The provider whose call the SDK is at work for now; empty = none."""
    wire = _current.get()
    return wire.owner if wire is not None else ""


def watch() -> None:
    """Let the SDK's HTTP transports tell the call's ``Wire`` what they get."""
    for module, name in _TRANSPORTS:
        transport: Any = getattr(importlib.import_module(module), name)
        if not hasattr(transport.handle_async_request, "watched"):
            transport.handle_async_request = _watched(transport.handle_async_request)


def _watched(send: Send) -> Send:
    failures = _failures()

    async def handle_async_request(transport: Any, request: Any) -> Any:
        wire = _current.get()
        if wire is None:
            return await send(transport, request)
        wire.asks()
        try:
            response = await send(transport, request)
        except failures as error:
            wire.failure = error
            raise
        wire.answered(response.status_code, {k.lower(): v for k, v in response.headers.items()})
        _tap(response, wire, failures)
        return response

    handle_async_request.watched = True  # type: ignore[attr-defined]
    return handle_async_request


def _tap(response: Any, wire: Wire, failures: tuple[type[Exception], ...]) -> None:
    """Everything that reads a reply's body does so by ``aiter_bytes``, decompressed."""
    read: Callable[..., Any] = response.aiter_bytes

    async def aiter_bytes(chunk_size: int | None = None) -> AsyncIterator[bytes]:
        del response.aiter_bytes  # once: afterwards the body is told again from memory
        try:
            async with aclosing(read(chunk_size)) as pieces:
                async for data in pieces:
                    wire.take(data)
                    yield data
        except failures as error:
            wire.ends(error)
            raise
        wire.ends()

    response.aiter_bytes = aiter_bytes


def _failures() -> tuple[type[Exception], ...]:
    httpx: Any = importlib.import_module("httpx")
    return (httpx.HTTPError, httpx.StreamError, OSError)
