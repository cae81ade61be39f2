"""Any server that speaks OpenAI's wire: bytes in, bytes out over aiohttp."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import urlencode

import orjson

from headgate_core.endpoints import CHAT, WIRES
from headgate_core.errors import UpstreamMalformed, UpstreamStatus
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Events, Facts, Raw, Reply
from headgate_core.types import Json
from headgate_gateway.credentials import Credentials
from headgate_gateway.forwarded_replies import observe_forwarded
from headgate_gateway.replies.chunks import (
    counts,
    observe,
    observe_spent,
    wants_choices,
    wants_usage,
)
from headgate_gateway.replies.salvage import is_page, salvage
from headgate_gateway.upstream.chat_stream import ChatStream, Sorter, events
from headgate_gateway.upstream.dropped import dropped
from headgate_gateway.upstream.errors import CREDENTIALS, parsed, reported
from headgate_gateway.upstream.http import UpstreamHttp, answer, checked
from headgate_gateway.upstream.lenient_json import Mended
from headgate_gateway.upstream.options import (
    authorities,
    insist_on_address,
    insist_on_headers,
    insist_on_proxy,
    insist_on_size,
)
from headgate_gateway.upstream.responses import ResponseStream, observe_response
from headgate_gateway.upstream.token_limit import TokenLimit, named

if TYPE_CHECKING:
    from aiohttp import ClientResponse


@dataclass(slots=True)
class OpenaiCompatible:
    """vLLM, OpenAI and their kin. ``base_url`` ends where ``/chat/completions`` begins.

    Options: ``api_keys`` (used in turn, a refused one rests), ``key_header`` (the header that
    holds the bare key, such as Azure's ``api-key``; empty = ``Authorization: Bearer``), ``query``
    (added to every address, such as Azure's ``api-version``), ``proxy`` (URL, empty = none),
    ``ca_file`` (PEM of the authorities that the upstream's certificate is checked with instead
    of those that the machine trusts),
    ``forward_metadata`` (OpenAI refuses ``metadata`` without ``store``), ``headers`` sent with
    every request, ``max_reply_mb`` (a larger reply is an error; streams are bounded by time),
    ``native`` (``responses``, ``completions``: what the upstream serves itself beside chat, so
    that such calls go to it byte for byte), ``token_limit`` (``max_tokens`` or
    ``max_completion_tokens``: the name under which it takes the bound of an answer; ``auto`` = as
    the caller or the route wrote it, and the newer name for OpenAI's reasoning models).
    """

    heeds_no_environment: ClassVar[bool] = True
    """No proxy of the environment is used: ``check_egress`` asks."""
    base_url: str
    api_keys: list[str] = field(default_factory=list)
    key_header: str = ""
    query: dict[str, str] = field(default_factory=dict)
    proxy: str = ""
    ca_file: str = ""
    forward_metadata: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    max_reply_mb: float = 64.0
    native: list[Literal["responses", "completions"]] = field(default_factory=list)
    token_limit: TokenLimit = "auto"
    _http: UpstreamHttp | None = field(default=None, init=False, repr=False)
    _credentials: Credentials | None = field(default=None, init=False, repr=False)
    _ca: ssl.SSLContext | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ``ConfigurationError`` for options that no call could be sent with, and for a
        ``ca_file`` that holds no certificates."""
        insist_on_address(self.base_url)
        insist_on_proxy(self.proxy)
        insist_on_size(self.max_reply_mb)
        insist_on_headers("headers", self.headers.items())
        insist_on_headers("key_header", [(self.key_header or "Authorization", "")])
        for key in self.api_keys:
            insist_on_headers("api_keys", self._keyed(key).items())
        if self.ca_file:
            self._ca = authorities(self.ca_file)

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Send one chat completion. Raises ``UpstreamError``; returns once the status is known."""
        response = await self._sent(request, self._body(request, model), model)
        facts = Facts()
        if request.stream:
            asked = wants_usage(request.body)
            count = wants_choices(request.body)
            stream = ChatStream(facts, parse=request.parsed, asked=asked, choices=count)
            return Reply(True, self._streamed(response, stream), facts)
        return Reply(False, self._single(response, facts, request.parsed, _observe), facts)

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Send the body to another endpoint as it is. Raises ``UpstreamError``."""
        response = await self._sent(request, self._body(request, model), model)
        facts = Facts()
        if request.endpoint in WIRES:
            passed = self._passed(response, facts, request)
            return Reply(request.stream, passed, facts, wire=request.endpoint)
        return Reply(False, self._forwarded(response, facts, request), facts)

    def insist_on_key(self, model: str) -> None:
        """Raises ``UpstreamCredentialsExhausted`` where no key may be used now, so that a call
        would send nothing."""
        self._opened_credentials().insist(model)

    async def probe(self) -> None:
        """Ask for the list of models: no call, no cost. Raises ``UpstreamError``.

        A server that has no such list answers all the same; one that takes no key does not.
        """
        credentials = self._opened_credentials()
        keys = [self._keyed(credentials.key(place)) for place in credentials.places()]
        status = 0
        for key in keys or [{}]:
            status = await self._opened().status(self._address("models"), self.headers | key)
            if status not in CREDENTIALS:
                break
        if status >= 500 or status in CREDENTIALS:
            raise UpstreamStatus(
                f"The upstream answered a probe with {status}.",
                upstream_status=status,
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()

    def _body(self, request: ModelRequest, model: str) -> Json:
        body = {k: v for k, v in request.body.items() if k != "headgate"}
        responses = request.endpoint == "responses"
        if not self.forward_metadata and body.pop("metadata", None) is not None:
            dropped(request, "metadata")
        body["model"] = model
        if request.endpoint == CHAT:
            body = named(body, model, self.token_limit)
        if request.stream and not responses:
            options = body.get("stream_options") or {}
            body["stream_options"] = {**options, "include_usage": True}
        return body

    async def _sent(self, request: ModelRequest, body: Json, model: str) -> ClientResponse:
        """The reply once its status says that it is worth reading. Raises ``UpstreamError``."""
        credentials = self._opened_credentials()
        place, sent_at = credentials.take(model), credentials.now()
        headers = {"Content-Type": "application/json", **self.headers}
        if place is not None:
            headers |= self._keyed(credentials.key(place))
        url = self._address(request.endpoint)
        response = await self._opened().post(url, orjson.dumps(body), headers, request)
        try:
            await checked(response, request.stream)
        except UpstreamStatus as error:
            self._opened().let_go(response)
            status, wait_s = error.upstream_status, error.retry_after_s
            error.another_key = credentials.set_aside(place, status, wait_s, model)
            error.rests_s = credentials.rests_s(model)
            raise
        except BaseException:
            response.close()
            raise
        credentials.answered(place, model, sent_at)
        return response

    def _opened(self) -> UpstreamHttp:
        if self._http is None:
            self._http = UpstreamHttp(self.proxy, self._ca)
        return self._http

    def _address(self, path: str) -> str:
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.base_url.rstrip('/')}/{path}{query}"

    def _keyed(self, key: str) -> dict[str, str]:
        return {self.key_header: key} if self.key_header else {"Authorization": f"Bearer {key}"}

    def _opened_credentials(self) -> Credentials:
        if self._credentials is None:
            self._credentials = Credentials(self.api_keys)
        return self._credentials

    def _passed(self, response: ClientResponse, facts: Facts, request: ModelRequest) -> Events:
        """A reply in the caller's own wire."""
        responses = request.endpoint == "responses"
        if not request.stream:
            return self._single(response, facts, False, observe_response if responses else _observe)
        stream: Sorter = ResponseStream(facts)
        if not responses:
            stream = ChatStream(facts, parse=False, asked=wants_usage(request.body))
        return self._streamed(response, stream)

    async def _single(
        self,
        response: ClientResponse,
        facts: Facts,
        parse: bool,
        read_facts: Callable[[Facts, Json], None],
    ) -> Events:
        try:
            raw = await answer(response, self.max_reply_mb, facts)
        finally:
            response.close()  # does nothing once the body was read to its end
        body = _understood(raw, facts, read_facts, again=parse)
        yield Chunk(body) if parse else _passed(raw, body)
        yield Done()

    async def _forwarded(
        self, response: ClientResponse, facts: Facts, request: ModelRequest
    ) -> Events:
        def read_facts(facts: Facts, body: Json) -> None:
            failure = reported(body)
            if failure is not None:
                raise failure
            observe_forwarded(request.endpoint, facts, body)

        try:
            raw = await answer(response, self.max_reply_mb, facts)
        finally:
            response.close()  # does nothing once the body was read to its end
        body = _understood(raw, facts, read_facts)
        yield Chunk(body) if request.parsed else _passed(raw, body)
        yield Done()

    async def _streamed(self, response: ClientResponse, stream: Sorter) -> Events:
        """A stream that ended well gives its connection back; any other closes it at once."""
        complete = False
        try:
            async with aclosing(events(response, stream)) as shown:
                async for event in shown:
                    yield event
            usage = stream.end()
            complete = True
        finally:
            if complete:
                self._opened().let_go(response)
            else:
                response.close()
        if usage is not None:
            yield usage
        yield Done()


def _passed(raw: bytes, body: Json) -> Raw:
    """The bytes as they came, unless clients cannot read them so."""
    return Raw(body.data if isinstance(body, Mended) else raw)


def _understood(
    raw: bytes, facts: Facts, read_facts: Callable[[Facts, Json], None], *, again: bool = False
) -> Json:
    """The body, once ``read_facts`` has taken it. Raises ``UpstreamError``."""
    try:
        body = parsed(raw, again=again)
        read_facts(facts, body)
    except UpstreamMalformed as error:
        error.worked = not is_page(raw)
        salvage(facts, raw)
        raise
    return body


def _observe(facts: Facts, body: Json) -> None:
    """Read a whole completion. Raises ``UpstreamError`` when it is none."""
    try:
        failure = reported(body)
        if failure is None:
            observe(facts, body)
    except (AttributeError, TypeError, ValueError) as error:
        raise UpstreamMalformed("The reply is not shaped like a chat completion.") from error
    if failure is not None:
        observe_spent(facts, body)
        raise failure
    if not (body.get("choices") or (body.get("choices") == [] and counts(facts.usage))):
        raise UpstreamMalformed("The reply has no `choices`.")
