"""Every hosted API that litellm's SDK speaks to; the SDK is imported on first use."""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.ids import uuid7
from headgate_core.ports import ModelRequest
from headgate_core.reply import Facts, Reply
from headgate_core.settings.environment import quiet_dependencies
from headgate_core.types import Json
from headgate_gateway.forwarded_replies import observe_forwarded
from headgate_gateway.replies.chunks import observe
from headgate_gateway.sdk.calls import Call
from headgate_gateway.sdk.clients import close_clients, keep_apart, renew_clients
from headgate_gateway.sdk.cohere import read_cohere
from headgate_gateway.sdk.endpoints import FUNCTIONS, encoded, foreign, passed, unsupported_by
from headgate_gateway.sdk.fetches import fetch_nothing
from headgate_gateway.sdk.wire import watch
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
    _owner: str = field(default_factory=uuid7, init=False, repr=False, compare=False)

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Send one chat completion through the SDK. Raises ``UpstreamError``."""
        sdk = await self._loaded()
        arguments = self._arguments(request, model)
        call = Call(request, self._owner)
        if not request.stream:
            return await call.whole(sdk.acompletion, arguments, observe)
        answer = await call.made(sdk.acompletion, arguments)
        return Reply(True, call.stream(answer), call.facts)

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Embeddings, rerank and moderations through the SDK. Raises ``UpstreamError``."""
        sdk = await self._loaded()
        arguments = self._arguments(request, model)
        del arguments["stream"]
        wanted = arguments.pop("encoding_format", None)

        def read_facts(facts: Facts, body: Json) -> None:
            observe_forwarded(request.endpoint, facts, encoded(body, wanted))

        function = getattr(sdk, FUNCTIONS[request.endpoint])
        return await Call(request, self._owner).whole(function, arguments, read_facts)

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
        renew_clients(self._sdk)
        return self._sdk

    async def close(self) -> None:
        """Close the connections of the SDK's clients that were made for this provider."""
        if self._sdk is not None:
            await close_clients(self._sdk, self._owner)

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


@functools.cache
def _import() -> Any:
    sdk: Any = importlib.import_module("litellm")
    sdk.telemetry = False
    sdk.suppress_debug_info = True
    sdk.drop_params = False
    sdk.callbacks = []
    fetch_nothing(sdk)
    read_cohere()
    watch()
    keep_apart(sdk)
    return sdk
