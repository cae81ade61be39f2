"""Every hosted API that litellm's SDK speaks to; the SDK is imported on first use."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamStatus,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_core.settings.environment import quiet_dependencies
from headgate_core.types import Json
from headgate_gateway.chunks import observe, wants_usage
from headgate_gateway.forwarded_replies import observe_forwarded
from headgate_gateway.sdk_endpoints import FUNCTIONS, encoded, unsupported_by
from headgate_gateway.upstream import credentials_refused, dropped


@dataclass(slots=True)
class Litellm:
    """Anthropic, Bedrock, Gemini, Cohere, … by litellm's model names (``anthropic/claude-…``).

    Options: ``api_key``, ``api_base``, and ``arguments`` passed to ``litellm.acompletion`` as
    they are (region names, project ids). Its own retries, fallbacks and telemetry are off.
    """

    api_key: str = ""
    api_base: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    _sdk: Any = field(default=None, init=False, repr=False)

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Send one chat completion through the SDK. Raises ``UpstreamError``."""
        sdk = await self._loaded()
        arguments = self._arguments(request, model)
        try:
            answer = await sdk.acompletion(**arguments)
        except Exception as error:  # the SDK's own exceptions, mapped at one border
            raise mapped(error) from error
        facts = Facts()
        if request.stream:
            return Reply(True, _stream(answer, facts, not wants_usage(request.body)), facts)
        return Reply(False, _single(answer, facts), facts)

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Embeddings, rerank and moderations through the SDK. Raises ``UpstreamError``."""
        sdk = await self._loaded()
        arguments = self._arguments(request, model)
        del arguments["stream"]
        wanted = arguments.pop("encoding_format", None)
        try:
            answer = await getattr(sdk, FUNCTIONS[request.endpoint])(**arguments)
        except Exception as error:  # the SDK's own exceptions, mapped at one border
            raise mapped(error) from error
        body = encoded(_plain(answer), wanted)
        facts = Facts()
        observe_forwarded(request.endpoint, facts, body)
        return Reply(False, _whole(body), facts)

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """OpenAI's parameters that the SDK knows this model not to take."""
        return unsupported_by(await self._loaded(), request.endpoint, model, request.body)

    async def _loaded(self) -> Any:
        if self._sdk is None:
            quiet_dependencies()
            self._sdk = await asyncio.to_thread(_import)
        return self._sdk

    def _arguments(self, request: ModelRequest, model: str) -> Json:
        own_members = {"headgate", "model", "metadata", "stream"}
        body = {k: v for k, v in request.body.items() if k not in own_members}
        if request.body.get("metadata") is not None:
            dropped(request, "metadata")
        own: Json = {**self.arguments, "model": model, "stream": request.stream}
        own |= {"num_retries": 0, "max_retries": 0}
        if self.api_key:
            own["api_key"] = self.api_key
        if self.api_base:
            own["api_base"] = self.api_base
        if request.timeouts is not None:
            own["timeout"] = request.timeouts.total_s
        if request.stream:
            options = body.get("stream_options") or {}
            body["stream_options"] = {**options, "include_usage": True}
        return {**body, **own}


def _import() -> Any:
    sdk: Any = importlib.import_module("litellm")
    sdk.telemetry = False
    sdk.suppress_debug_info = True
    sdk.drop_params = False
    sdk.callbacks = []
    return sdk


async def _whole(body: Json) -> Events:
    yield Chunk(body)
    yield Done()


async def _single(answer: Any, facts: Facts) -> Events:
    body = _plain(answer)
    observe(facts, body)
    yield Chunk(body)
    yield Done()


async def _stream(answer: Any, facts: Facts, strip: bool) -> Events:
    try:
        async for item in answer:
            body = _plain(item)
            observe(facts, body)
            if strip and body.get("usage") and not body.get("choices"):
                continue
            if strip:
                body.pop("usage", None)
            yield Chunk(body)
    except UpstreamError:
        raise
    except Exception as error:  # the same, in mid-stream, mapped at one border
        raise mapped(error) from error
    finally:
        close = getattr(answer, "aclose", None)
        if close is not None:
            await close()
    yield Done()


def _plain(answer: Any) -> Json:
    dump = getattr(answer, "model_dump", None)
    body = dump(exclude_none=True) if dump is not None else answer
    if not isinstance(body, Mapping):
        raise UpstreamMalformed(f"The SDK returned a {type(answer).__name__}.")
    plain = dict(body)
    for choice in plain.get("choices") or ():
        choice.setdefault("finish_reason", None)
    return plain


def mapped(error: Exception) -> UpstreamError:
    """The SDK's exception as one of ours, by its status; the text stays, no secret is added."""
    status = getattr(error, "status_code", None)
    name = type(error).__name__
    message = str(getattr(error, "message", "") or error) or name
    if name == "Timeout" or isinstance(error, TimeoutError):
        return UpstreamTimeout(message)
    if name == "APIConnectionError":
        return UpstreamUnreachable(message)
    if isinstance(status, int) and status >= 400:
        return UpstreamStatus(credentials_refused(status) or message, upstream_status=status)
    return UpstreamError(f"{name}: {message}")
