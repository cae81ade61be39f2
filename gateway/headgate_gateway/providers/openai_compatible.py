"""Any server that speaks OpenAI's chat wire: bytes in, bytes out over aiohttp."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Event, Events, Facts, Raw, Reply
from headgate_core.types import Json
from headgate_gateway.chunks import observe, wants_usage
from headgate_gateway.sse import SseEvent, SseSplitter, SseTooLarge
from headgate_gateway.upstream import credentials_refused, dropped

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession


@dataclass(slots=True)
class OpenaiCompatible:
    """vLLM, OpenAI and their kin. ``base_url`` ends where ``/chat/completions`` begins.

    Options: ``api_keys`` (used in turn), ``proxy`` (URL, empty = none), ``forward_metadata``
    (OpenAI refuses ``metadata`` without ``store``), ``headers`` sent with every request.
    """

    base_url: str
    api_keys: list[str] = field(default_factory=list)
    proxy: str = ""
    forward_metadata: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    _session: ClientSession | None = field(default=None, init=False, repr=False)
    _keys: Iterator[str] | None = field(default=None, init=False, repr=False)

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Send one chat completion. Raises ``UpstreamError``; returns once the status is known."""
        body = self._body(request, model)
        response = await self._post(orjson.dumps(body), request)
        facts = Facts()
        try:
            await _check(response, request.stream)
        except BaseException:
            response.close()
            raise
        if request.stream:
            strip = not wants_usage(request.body)
            return Reply(True, _stream(response, facts, request.parsed, strip), facts)
        return Reply(False, _single(response, facts, request.parsed), facts)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _body(self, request: ModelRequest, model: str) -> Json:
        body = {k: v for k, v in request.body.items() if k != "headgate"}
        if not self.forward_metadata and body.pop("metadata", None) is not None:
            dropped(request, "metadata")
        body["model"] = model
        if request.stream:
            options = body.get("stream_options") or {}
            body["stream_options"] = {**options, "include_usage": True}
        return body

    async def _post(self, data: bytes, request: ModelRequest) -> ClientResponse:
        import aiohttp

        session = self._opened()
        connect = request.timeouts.connect_s if request.timeouts else 5.0
        headers = {"Content-Type": "application/json", **self.headers}
        if self._keys is not None:
            headers["Authorization"] = f"Bearer {next(self._keys)}"
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        try:
            return await session.post(
                url,
                data=data,
                headers=headers,
                proxy=self.proxy or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, connect=connect),
            )
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"Connecting took longer than connect_s = {connect:g}."
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamUnreachable(f"Cannot reach the upstream: {_reason(error)}.") from error

    def _opened(self) -> ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
            self._keys = itertools.cycle(self.api_keys) if self.api_keys else None
        return self._session


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


async def _check(response: ClientResponse, stream: bool) -> None:
    """Raises ``UpstreamStatus`` or ``UpstreamMalformed`` when this is no reply to read."""
    if response.status != 200:
        raw = await _read(response)
        message = credentials_refused(response.status) or _error_message(raw)
        message = message or f"The upstream answered {response.status}."
        raise UpstreamStatus(
            message, upstream_status=response.status, retry_after_s=_retry_after(response)
        )
    if stream and response.content_type != "text/event-stream":
        raw = await _read(response)
        raise UpstreamMalformed(
            _error_message(raw)
            or f"The upstream answered a stream request with {response.content_type}."
        )


async def _read(response: ClientResponse) -> bytes:
    import aiohttp

    try:
        return await response.read()
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError) as error:
        raise UpstreamTruncated(f"The reply was cut off: {_reason(error)}.") from error


def _error_message(raw: bytes) -> str:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return str(error["message"])
    return error if isinstance(error, str) else ""


def _retry_after(response: ClientResponse) -> float | None:
    value = response.headers.get("retry-after-ms")
    if value is not None and value.replace(".", "", 1).isdigit():
        return float(value) / 1000
    value = response.headers.get("retry-after", "")
    if value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        from datetime import UTC, datetime

        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


async def _single(response: ClientResponse, facts: Facts, parsed: bool) -> Events:
    try:
        raw = await _read(response)
    finally:
        response.release()
    body = _parsed(raw)
    if not isinstance(body.get("choices"), list):
        raise UpstreamMalformed(_error_message(raw) or "The reply has no `choices`.")
    observe(facts, body)
    yield Chunk(body) if parsed else Raw(raw)
    yield Done()


async def _stream(response: ClientResponse, facts: Facts, parsed: bool, strip: bool) -> Events:
    async with aclosing(_framed(response)) as framed:
        async for event in framed:
            if event.data.startswith(b"[DONE]"):
                break
            shown = _event(event, facts, parsed, strip)
            if shown is not None:
                yield shown
    if not facts.finish_reasons:
        raise UpstreamTruncated("The stream ended without a finish_reason.")
    yield Done()


async def _framed(response: ClientResponse) -> AsyncGenerator[SseEvent, None]:
    """The body's events, whatever pieces it comes in. Raises ``UpstreamError``."""
    import aiohttp

    splitter = SseSplitter()
    try:
        async for data in response.content.iter_any():
            for event in splitter.feed(data):
                yield event
        last = splitter.rest()
        if last is not None:
            yield last
    except SseTooLarge as error:
        raise UpstreamMalformed(f"The stream holds {error}.") from error
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamTruncated(f"The stream was cut off: {_reason(error)}.") from error
    finally:
        response.close()


def _event(event: SseEvent, facts: Facts, parsed: bool, strip: bool) -> Event | None:
    if not event.data:
        return None  # a comment or an empty keep-alive
    body = _parsed(event.data)
    if body.get("error"):
        raise UpstreamError(_error_message(event.data) or "The upstream reported an error.")
    observe(facts, body)
    if strip and body.get("usage") and not body.get("choices"):
        return None
    return Chunk(body) if parsed else Raw(event.raw)


def _parsed(data: bytes) -> Json:
    try:
        body: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamMalformed(f"The reply is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise UpstreamMalformed("The reply is not a JSON object.")
    return body
