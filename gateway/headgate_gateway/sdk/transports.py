"""The SDK's HTTP transports, which tell the call's ``Wire`` what they send and get."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from headgate_gateway.sdk.wire import Wire, current

_TRANSPORTS = (
    ("litellm.llms.custom_httpx.aiohttp_transport", "LiteLLMAiohttpTransport"),
    ("httpx", "AsyncHTTPTransport"),
)

Send = Callable[[Any, Any], Awaitable[Any]]


def watch() -> None:
    """Let the SDK's HTTP transports tell the call's ``Wire`` what they get.

    None of them follows a redirect: it would take the key and the request to another host.
    """
    for module, name in _TRANSPORTS:
        transport: Any = getattr(importlib.import_module(module), name)
        if not hasattr(transport.handle_async_request, "watched"):
            transport.handle_async_request = _watched(transport.handle_async_request)
    waiting: Any = importlib.import_module("httpx").HTTPTransport
    if not hasattr(waiting.handle_request, "watched"):
        waiting.handle_request = _staying(waiting.handle_request)


def _staying(send: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Clients that block are not watched: they serve few services, and hosts that give tokens."""

    def handle_request(transport: Any, request: Any) -> Any:
        wire = current.get()
        if wire is not None:
            wire.asks()
        response = send(transport, request)
        if wire is not None:
            response.headers.pop("location", None)
        return response

    handle_request.watched = True  # type: ignore[attr-defined]
    return handle_request


def _watched(send: Send) -> Send:
    failures = _failures()

    async def handle_async_request(transport: Any, request: Any) -> Any:
        wire = current.get()
        if wire is None:
            return await send(transport, request)
        wire.asks()
        try:
            response = await send(transport, request)
        except failures as error:
            wire.failure = error
            raise
        response.headers.pop("location", None)
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
