"""The HTTP side of reaching a model: one session, bounded bodies, failures as our own errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from headgate_core.errors import (
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamTruncated,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Facts
from headgate_gateway.replies.salvage import is_page, salvage
from headgate_gateway.upstream.broken import cut_off, unreachable
from headgate_gateway.upstream.errors import parsed, reported, status_error

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

CONNECT_S = 5.0
"""How long connecting may take where no pool says it."""
END_S = 1.0
"""How long the end of a complete reply's body is waited for before its connection is closed."""
MOST_AFTER_END = 64 * 1024
"""Bytes that may follow the end of a complete reply."""
MOST_OF_AN_ERROR = 1024 * 1024
"""Bytes of an error body that are read."""


class UpstreamHttp:
    """The connections of one provider.

    ``proxy`` is a URL, empty = none. ``ca`` is what certificates are checked with, None = the
    authorities that the machine trusts.
    """

    def __init__(self, proxy: str = "", ca: ssl.SSLContext | None = None) -> None:
        self._proxy = proxy or None
        self._ca = ca
        self._session: ClientSession | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def post(
        self, url: str, data: bytes, headers: Mapping[str, str], request: ModelRequest
    ) -> ClientResponse:
        """Send, and wait for the status; redirects are not followed. Raises ``UpstreamError``.

        The request's ``connect_s`` bounds connecting, and its ``sending`` hears how far it gets.
        """
        import aiohttp

        from headgate_gateway.upstream.body import NotedBody

        connect_s = request.timeouts.connect_s if request.timeouts else CONNECT_S
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, connect=connect_s)
        try:
            return await self._opened().post(
                url,
                data=NotedBody(data, request.sending),
                headers=headers,
                proxy=self._proxy,
                allow_redirects=False,
                timeout=timeout,
            )
        except TimeoutError as error:
            late = UpstreamTimeout(f"Connecting took longer than connect_s = {connect_s:g}.")
            late.sent = False
            raise late from error
        except aiohttp.ClientHttpProxyError as error:
            raise unreachable(error, sent=False) from error
        except aiohttp.ClientResponseError as error:
            failure = UpstreamMalformed("The reply is not HTTP.")
            failure.detail = f"The reply is not HTTP: {error.message}."
            failure.worked = False
            raise failure from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # A ValueError: there are words that no request can be sent with.
            begun = not isinstance(error, aiohttp.ClientConnectorError | ValueError)
            raise unreachable(error, sent=begun) from error

    async def status(self, url: str, headers: Mapping[str, str]) -> int:
        """The status that a GET is answered with. Raises ``UpstreamUnreachable``."""
        import aiohttp

        try:
            sent = self._opened().get(
                url, headers=headers, proxy=self._proxy, allow_redirects=False
            )
            async with sent as response:
                return response.status
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise unreachable(error, sent=False) from error

    def let_go(self, response: ClientResponse) -> None:
        """A complete reply: its connection is used again once its body has ended, which is soon."""
        if response.content.is_eof():
            response.release()
            return
        task = asyncio.ensure_future(_to_the_end(response))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Close all connections."""
        for task in self._ending:
            task.cancel()
        if self._ending:
            await asyncio.wait(self._ending)
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> ClientSession:
        if self._session is None:
            import aiohttp

            from headgate_gateway.upstream.connector import GuardedConnector

            self._session = aiohttp.ClientSession(
                connector=GuardedConnector(self._ca),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


async def _to_the_end(response: ClientResponse) -> None:
    import aiohttp

    size = 0
    try:
        async with asyncio.timeout(END_S):
            while size <= MOST_AFTER_END and (data := await response.content.readany()):
                size += len(data)
    except (TimeoutError, aiohttp.ClientError, OSError):
        return  # the reply was complete already: there is nothing to report
    finally:
        response.close()  # does nothing once the body has ended


async def checked(response: ClientResponse, stream: bool) -> None:
    """Raises ``UpstreamStatus`` or ``UpstreamMalformed`` when this is no reply to read on."""
    if response.status != 200:
        raw = await read(response, MOST_OF_AN_ERROR)
        raise status_error(response.status, response.headers, raw)
    if stream and response.content_type != "text/event-stream":
        raw = await read(response, MOST_OF_AN_ERROR)
        told = reported(parsed(raw)) if raw[:1] == b"{" else None
        failure = UpstreamMalformed(
            f"The upstream answered a stream request with {response.content_type}."
        )
        failure.worked = not is_page(raw)
        raise told or failure


async def answer(response: ClientResponse, most_mb: float, facts: Facts) -> bytes:
    """The whole body of a model's reply. Raises ``UpstreamTruncated``, ``UpstreamTooLarge``.

    What came of such a reply stands in ``facts`` then.
    """
    pieces: list[bytes] = []
    most = int(most_mb * 1e6)
    try:
        raw = await read(response, most, pieces)
    except UpstreamTruncated:
        salvage(facts, b"".join(pieces))
        raise
    if len(raw) <= most:
        return raw
    salvage(facts, raw)
    raise UpstreamTooLarge(
        f"The reply is larger than `max_reply_mb` of its provider ({most_mb:g} MB), so it was not "
        "read to its end. Ask for a smaller one, or raise `max_reply_mb`."
    )


async def read(response: ClientResponse, most: int, pieces: list[bytes] | None = None) -> bytes:
    """The whole body, or more than ``most`` bytes of it; ``pieces`` has what came before it broke.

    Raises ``UpstreamTruncated``.
    """
    import aiohttp

    pieces = [] if pieces is None else pieces
    size = 0
    try:
        while data := await response.content.readany():
            pieces.append(data)
            size += len(data)
            if size > most:
                break
    except (aiohttp.ClientError, OSError) as error:
        raise cut_off("The reply", error) from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
