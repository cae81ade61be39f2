"""What really came over the wire for one call of the SDK, seen below the SDK's own reading.

The SDK ends a stream that was cut off as if it were whole, and calls a reply that it cannot read
the caller's mistake. So its HTTP transports are watched: the status, the headers, and the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamTruncated,
)
from headgate_gateway.replies.salvage import is_page
from headgate_gateway.sdk.stream_ends import Ends, Framing, framing
from headgate_gateway.sse import SseTooLarge
from headgate_gateway.upstream import lenient_json
from headgate_gateway.upstream.errors import status_error

_KEPT = 1024 * 1024
"""Bytes of a reply in one piece that are kept to see what is wrong with it."""
_HEAD = 16
_TOKENS = re.compile(rb'"\w*(?:usage|token|eval_count)\w*"\s*:\s*[{\d]', re.IGNORECASE)
"""A member that counts tokens, by whatever name a provider gives it."""
_NO_TIME = frozenset({"TimeoutException", "ReadTimeout", "WriteTimeout", "PoolTimeout"})
current: ContextVar[Wire | None] = ContextVar("headgate_wire", default=None)
"""The wire of the call that the SDK is at work for."""


class NothingGoesOut(Exception):
    """The wire is dry."""


class Wire:
    """The last reply that a call of the SDK got; ``status`` is 0 before there is one."""

    def __init__(self, owner: str = "", *, dry: bool = False) -> None:
        """``owner`` names the provider that the call is for; ``dry`` lets nothing out."""
        self.owner = owner
        self.asked = False
        """Whether the SDK has had a request to send."""
        self._dry = dry
        self._forget()

    def asks(self) -> None:
        """A request goes out; what an earlier one got (a token for the real one) is forgotten.

        Raises ``NothingGoesOut`` on a dry wire.
        """
        self.asked = True
        if self._dry:
            raise NothingGoesOut
        self._forget()

    def _forget(self) -> None:
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
        token = current.set(self)
        try:
            yield self
        finally:
            current.reset(token)

    def answered(self, status: int, headers: dict[str, str]) -> None:
        """A reply has begun."""
        self.status, self.headers = status, headers
        if not self._refused:
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
    def told(self) -> Ends:
        """What the reply says about its end: a stream so far, one in one piece as a whole."""
        if self._refused:
            return Ends(error=status_error(self.status, self.headers, self.kept))
        if self._framing is not None:
            return self._framing.ends
        found = Ends()
        with suppress(AttributeError, TypeError, ValueError):
            body: Any = lenient_json.loads(self.kept)
            for one in body if isinstance(body, list) else [body]:
                found.read(one)
        return found

    @property
    def tells_units(self) -> bool | None:
        """Whether a reranker tells what it bills; the SDK makes it up. None = it cannot be seen."""
        return None if not self._kept or self._is_foreign() else b'"search_units"' in self._kept

    @property
    def tier(self) -> str:
        """The service tier that a stream has told so far; empty = none."""
        told = self._framing.ends.tier if self._framing is not None else ""
        return told or self.headers.get("x-gemini-service-tier", "")

    @property
    def _refused(self) -> bool:
        """Whether the status says that this is no answer; redirects are not followed."""
        return self.status >= 300

    @property
    def knows(self) -> bool:
        """Whether the reply is a stream of a provider whose end is known, so far."""
        return self._watched and self._framing is not None and self._framing.ends.known

    def fault(self, *, over: bool = False) -> UpstreamError | None:
        """What is wrong with the reply so far; None = nothing that can be seen.

        ``over`` says that nothing more will be read, though the body may go on.
        """
        if self._refused:
            return self.told.error
        if self._framing is not None:
            return self._stream_fault(self._framing, over=over or self.over)
        if self.failure is not None:
            return self._broken(self.failure)
        return self._whole_fault() if over or self.over else None

    def _sorted(self, data: bytes) -> bytes:
        """Find out what the body is; the bytes that its framing has not seen."""
        self._kept += data
        if not self._refused and len(self._begun) < _HEAD:
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
            lenient_json.loads(self.kept)
        except ValueError:
            failure = UpstreamMalformed("The upstream's reply is not JSON.")
            failure.worked = not is_page(self.kept)
            return failure
        return self.told.error

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
    wire = current.get()
    return wire.owner if wire is not None else ""
