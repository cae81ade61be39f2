"""Every hosted API that litellm's SDK speaks to; importing the SDK takes seconds."""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate_core.endpoints import CHAT
from headgate_core.errors import ConfigurationError, UpstreamError
from headgate_core.ids import uuid7
from headgate_core.ports import ModelRequest
from headgate_core.reply import Facts, Reply
from headgate_core.settings.environment import quiet_dependencies
from headgate_core.types import Json
from headgate_gateway.forwarded_replies import observe_forwarded
from headgate_gateway.replies.chunks import observe
from headgate_gateway.replies.tiers import asked_tier
from headgate_gateway.sdk.calls import Call
from headgate_gateway.sdk.clients import close_clients, keep_apart, renew_clients
from headgate_gateway.sdk.cohere import read_cohere
from headgate_gateway.sdk.endpoints import (
    FUNCTIONS,
    encoded,
    foreign,
    insist_on_service,
    left_out,
    passed,
    silent,
    unsupported_by,
)
from headgate_gateway.sdk.fetches import fetch_nothing
from headgate_gateway.sdk.gemini import read_gemini
from headgate_gateway.sdk.transports import watch
from headgate_gateway.upstream.dropped import dropped

log = logging.getLogger("headgate.providers")

_DECIDED = {
    "model": "the pool's targets name the models",
    "stream": "the caller says whether the answer is a stream",
    "timeout": "the pool's `timeouts` say how long a call may take",
    **dict.fromkeys(("num_retries", "max_retries"), "the pool's `retries` say how often to try"),
}
"""What no ``arguments`` can say, and who says it instead."""
_loading = threading.Lock()


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

    def __post_init__(self) -> None:
        """Raises ``ConfigurationError`` for arguments that would be replaced."""
        for name in self.arguments.keys() & _DECIDED.keys():
            raise ConfigurationError(f"`arguments` must not name `{name}`: {_DECIDED[name]}.")

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Send one chat completion through the SDK. Raises ``UpstreamError``."""
        sdk = await self._ready(model)
        arguments = self._arguments(request, model)
        call = Call(request, self._owner)
        call.facts.service_tier = asked_tier(arguments)
        if not request.stream:
            return await call.whole(sdk.acompletion, arguments, observe)
        answer = await call.made(sdk.acompletion, arguments)
        return Reply(True, call.stream(answer), call.facts)

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Embeddings, rerank and moderations through the SDK. Raises ``UpstreamError``."""
        sdk = await self._ready(model)
        arguments = self._arguments(request, model)
        del arguments["stream"]
        wanted = arguments.pop("encoding_format", None)

        def read_facts(facts: Facts, body: Json) -> None:
            observe_forwarded(request.endpoint, facts, encoded(body, wanted))

        function = getattr(sdk, FUNCTIONS[request.endpoint])
        return await Call(request, self._owner).whole(function, arguments, read_facts)

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """Members that never reach the SDK, and those that it knows this model not to take.

        A call waits here for the import, before an attempt is begun.
        """
        never = foreign(request.body, self.members)
        sdk = await self._loaded()
        lost = unsupported_by(sdk, request.endpoint, model, request.body)
        return list(dict.fromkeys([*never, *lost]))

    def cache_control(self, model: str) -> bool:
        """Whether marks of cached prefixes reach the model: Claude's do, at whoever hosts it."""
        return model.startswith("claude") or (
            "claude" in model and model.startswith(("anthropic/", "bedrock/", "vertex_ai/"))
        )

    async def warm(self, models: Collection[str]) -> None:
        """Import the SDK ahead of the first call; models that it cannot place are in the log."""
        sdk = await self._loaded()
        for model in models:
            try:
                self._insist_on_service(sdk, model)
            except UpstreamError as error:
                log.error("%s", error)

    async def _ready(self, model: str) -> Any:
        """The SDK, for a model that it can place. Raises ``UpstreamError``."""
        sdk = await self._loaded()
        self._insist_on_service(sdk, model)
        return sdk

    def _insist_on_service(self, sdk: Any, model: str) -> None:
        if "custom_llm_provider" not in self.arguments:
            insist_on_service(sdk, model, self.api_base)

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

    def _taken(self, request: ModelRequest, model: str) -> Json:
        """What of the body reaches the model; what is left out without asking is named."""
        body = passed(request.body, self.members)
        for name in {"stream", *silent(self._sdk, model, body)}:
            body.pop(name, None)
        if request.body.get("metadata") is not None:
            dropped(request, "metadata")
        if request.endpoint == CHAT:
            for name in left_out(self._sdk, model, body):
                dropped(request, name)
        return body

    def _arguments(self, request: ModelRequest, model: str) -> Json:
        body = self._taken(request, model)
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
    with _loading:
        return _made_ready()


@functools.cache
def _made_ready() -> Any:
    sdk: Any = importlib.import_module("litellm")
    sdk.telemetry = False
    sdk.suppress_debug_info = True
    sdk.drop_params = False
    sdk.callbacks = []
    fetch_nothing(sdk)
    read_cohere()
    read_gemini()
    watch()
    keep_apart(sdk)
    return sdk
