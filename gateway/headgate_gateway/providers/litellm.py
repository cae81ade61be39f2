"""Every hosted API that litellm's SDK speaks to; the SDK is imported on first use."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.errors import (
    UpstreamError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_core.settings.environment import quiet_dependencies
from headgate_core.types import Json
from headgate_gateway.forwarded_replies import observe_forwarded
from headgate_gateway.replies.chunks import observe, wants_usage
from headgate_gateway.sdk.endpoints import FUNCTIONS, encoded, foreign, passed, unsupported_by
from headgate_gateway.sdk.errors import plain, refusal_of, unreachable
from headgate_gateway.sdk.fetches import fetch_nothing, refused_fetch
from headgate_gateway.upstream.dropped import dropped


@dataclass(slots=True)
class Litellm:
    """Anthropic, Bedrock, Gemini, Cohere, … by litellm's model names (``anthropic/claude-…``).

    Options: ``api_key``, ``api_base``, ``arguments`` passed to ``litellm.acompletion`` as they
    are (region names, project ids), and ``members`` of callers' bodies that pass beside the
    usual ones. The SDK's own retries, fallbacks, telemetry and downloads are off.
    """

    api_key: str = ""
    api_base: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
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
        """Members that never reach the SDK, and those that it knows this model not to take."""
        if refused := foreign(request.body, self.members):
            return refused
        return unsupported_by(await self._loaded(), request.endpoint, model, request.body)

    def cache_control(self, model: str) -> bool:
        """Whether marks of cached prefixes reach the model: Claude's do, at whoever hosts it."""
        return model.startswith("claude") or (
            "claude" in model and model.startswith(("anthropic/", "bedrock/", "vertex_ai/"))
        )

    async def _loaded(self) -> Any:
        if self._sdk is None:
            quiet_dependencies()
            self._sdk = await asyncio.to_thread(_import)
        return self._sdk

    def _arguments(self, request: ModelRequest, model: str) -> Json:
        body = passed(request.body, self.members)
        body.pop("stream", None)
        if request.body.get("metadata") is not None:
            dropped(request, "metadata")
        own: Json = {**self.arguments, "model": model, "stream": request.stream}
        own |= {"num_retries": 0, "max_retries": 0}
        if request.endpoint == CHAT:
            own["_skip_mcp_handler"] = True  # it calls servers that the caller's tools name
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
    fetch_nothing(sdk)
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
    """The SDK ends a stream that was cut off as if it were whole, and counts where nobody told."""
    try:
        async for item in answer:
            body = _plain(item)
            if _finish(body):
                _told_why(answer)
            observe(facts, body)
            shown = _shown(body, strip)
            if shown is not None:
                yield Chunk(shown)
        _told_why(answer)
        if facts.usage is not None and not _told_usage(answer):
            facts.usage = replace(facts.usage, estimated=True)
    except UpstreamError:
        raise
    except Exception as error:  # the same, in mid-stream, mapped at one border
        raise mapped(error) from error
    finally:
        close = getattr(answer, "aclose", None)
        if close is not None:
            await close()
    yield Done()


def _finish(body: Json) -> bool:
    return any(choice.get("finish_reason") for choice in body.get("choices") or ())


def _shown(body: Json, strip: bool) -> Json | None:
    """The chunk without its usage where nobody asked for it; None = nothing is left of it."""
    if not strip:
        return body
    if body.get("usage") and not body.get("choices"):
        return None
    body.pop("usage", None)
    return body


def _told_why(answer: Any) -> None:
    """Raises ``UpstreamTruncated`` where the SDK has made up the reason for the end."""
    reasons = ("received_finish_reason", "intermittent_finish_reason")
    if hasattr(answer, reasons[0]) and not any(getattr(answer, r, None) for r in reasons):
        raise UpstreamTruncated("The stream ended without a finish_reason.")


def _told_usage(answer: Any) -> bool:
    """Whether a chunk of the provider's own had usage in it."""
    chunks = getattr(answer, "chunks", None)
    return chunks is None or any(getattr(chunk, "usage", None) for chunk in chunks)


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
    """The SDK's exception as one of ours; the provider's own words stay, no secret is added."""
    name = type(error).__name__
    message = plain(str(getattr(error, "message", "") or error)) or name
    if (refused := refused_fetch(error)) is not None:
        return refused
    if (answered := refusal_of(error)) is not None:
        return answered
    if (unconnected := unreachable(error)) is not None:
        return unconnected
    if name == "Timeout" or isinstance(error, TimeoutError):
        return UpstreamTimeout(message)
    if name == "APIConnectionError":
        return UpstreamUnreachable(message)
    return UpstreamError(f"{name}: {message}")
