"""Values that litellm's SDK takes and then loses on the way to a provider, without a word.

Its lists name the parameters that a model takes, and count ``tool_choice`` as taken where the
choice of one tool by its name is left out. This table says what they do not, and what the SDK
refuses without naming it. A loss that is missing here fails a test, and so does an entry for what
another version of the SDK honours.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from headgate_core.types import Json

STRICT = "tools[].function.strict"
"""That the arguments of a tool's calls fit its schema, for certain."""

NAME = "messages[].name"
"""Who of several speakers a message is of."""
_NAMELESS = frozenset(
    {"AnthropicConfig", "AmazonConverseConfig", "AmazonInvokeNovaConfig", "AmazonCohereConfig"}
    | {"VertexGeminiConfig", "MistralConfig", "OllamaChatConfig"}
)
"""Families that have no place for ``NAME``."""

Lost: TypeAlias = Callable[[Any, str, Json], bool]
"""Whether a parameter's value is lost; the model's name and the whole body follow the value."""
_Losses: TypeAlias = Mapping[str, Lost]


def _sdk() -> Any:
    return importlib.import_module("litellm")


def _every(value: Any, model: str, body: Json) -> bool:
    return True


def _of(names: str) -> _Losses:
    """Parameters of which every value is lost."""
    return dict.fromkeys(names.split(), _every)


def _calls(body: Json) -> bool:
    """Whether the model can call anything, so that it matters how."""
    return bool(body.get("tools") or body.get("functions")) and body.get("tool_choice") != "none"


def _not_several(value: Any, model: str, body: Json) -> bool:
    return value is False and _calls(body)


def _json_object(value: Any, model: str, body: Json) -> bool:
    """The SDK makes a tool of a schema, and there is none: the model would answer with text."""
    is_object = isinstance(value, dict) and value.get("type") == "json_object"
    return is_object and not value.get("response_schema")


def _beside_tools(value: Any, model: str, body: Json) -> bool:
    return bool(body.get("tools"))


def _schema_beside_tools(value: Any, model: str, body: Json) -> bool:
    schema = isinstance(value, dict) and value.get("type") == "json_schema"
    known = _sdk().supports_response_schema
    return schema and bool(body.get("tools")) and not known(model, "groq")


def _without_fast_mode(value: Any, model: str, body: Json) -> bool:
    return (_sdk().model_cost.get(model) or {}).get("supports_speed") is not True


def _without_top_k(value: Any, model: str, body: Json) -> bool:
    """The newest Claudes are not told how to draw their words."""
    kept: Json = {}
    _sdk().AnthropicConfig.apply_sampling_param(kept, model, "top_k", value, True, "top_k")
    return not kept


def _unforced(value: Any, model: str, body: Json) -> bool:
    """Some Claudes cannot be made to call a tool."""
    forced = value not in ("auto", "none")
    return forced and bool(_sdk().AnthropicConfig.forced_tool_use_unsupported(model))


def _unthinking(value: Any, model: str, body: Json) -> bool:
    """Saying nothing is what switches thought off, up to the fourth Claudes; later ones go on."""
    generation = re.search(r"claude-(?:[a-z]+-)*(\d+)", model)
    return value == "none" and (generation is None or int(generation[1]) > 4)


def _never_disabled(value: Any, model: str, body: Json) -> bool:
    kept: Json = {"thinking": value}
    _sdk().AnthropicConfig.maybe_drop_disabled_thinking(model, kept, "anthropic")
    return not kept


def _since_gemini_3(value: Any, model: str, body: Json) -> bool:
    version = re.search(r"gemini-(\d+)", model)
    return version is not None and int(version[1]) >= 3


def _by_name(value: Any, model: str, body: Json) -> bool:
    return isinstance(value, dict)


def _disabled(value: Any, model: str, body: Json) -> bool:
    return isinstance(value, dict) and value.get("type") == "disabled"


def _at_claude(lost: Lost) -> Lost:
    return lambda value, model, body: "claude" in model and lost(value, model, body)


def _of_bedrock(model: str) -> tuple[str, Any]:
    """The model's name without region and version, and the SDK's own knowledge of it."""
    known = importlib.import_module("litellm.llms.bedrock.common_utils")
    return known.get_bedrock_base_model(model), known


def _not_several_at_bedrock(value: Any, model: str, body: Json) -> bool:
    _, known = _of_bedrock(model)
    several = value is False and _calls(body)
    return several and not known.bedrock_converse_supports_parallel_tool_use_config(model)


def _strict_at_bedrock(value: Any, model: str, body: Json) -> bool:
    _, known = _of_bedrock(model)
    return not known.bedrock_converse_supports_strict_tools(model)


def _top_k_at_bedrock(value: Any, model: str, body: Json) -> bool:
    name, _ = _of_bedrock(model)
    if name.startswith("anthropic"):
        return _without_top_k(value, model, body)
    return not name.startswith("amazon.nova")


def _unthinking_at_bedrock(value: Any, model: str, body: Json) -> bool:
    name, _ = _of_bedrock(model)
    claude = name.startswith("anthropic")
    return _unthinking(value, model, body) if claude else value == "none" and "qwen" in name


def _choice_at_bedrock(value: Any, model: str, body: Json) -> bool:
    return (value == "none" and bool(body.get("tools"))) or _unforced(value, model, body)


_OWN_MEMBERS = _of(
    "min_p top_a typical_p repetition_penalty min_tokens speed reasoning include_reasoning "
    "cache_control safetySettings documents safe_prompt chat_template_kwargs stop_token_ids "
    "guided_json guided_regex guided_choice guided_grammar"
)
"""Members of other providers, which are left out of a body of nothing but the provider's own."""
_AT_ANY_CLAUDE: _Losses = {
    "response_format": _json_object,
    "reasoning_effort": _unthinking,
    "thinking": _never_disabled,
    STRICT: _every,
}
_CONVERSE: _Losses = {
    "response_format": _json_object,
    "parallel_tool_calls": _not_several_at_bedrock,
    "tool_choice": _choice_at_bedrock,
    "top_k": _top_k_at_bedrock,
    "reasoning_effort": _unthinking_at_bedrock,
    "thinking": _never_disabled,
    "context_management": _every,
    STRICT: _strict_at_bedrock,
}
_NO_CHOICE = _of("tool_choice")

LOST: Mapping[str, _Losses] = {
    "AnthropicConfig": {
        **_AT_ANY_CLAUDE,
        "speed": _without_fast_mode,
        "top_k": _without_top_k,
        "tool_choice": _unforced,
    },
    "DatabricksConfig": {name: _at_claude(lost) for name, lost in _AT_ANY_CLAUDE.items()},
    "AmazonConverseConfig": _CONVERSE,
    "AmazonInvokeNovaConfig": {
        **_CONVERSE,
        **_OWN_MEMBERS,
        **_of("top_k safety_settings service_tier"),
    },
    "VertexGeminiConfig": {
        **_OWN_MEMBERS,
        "parallel_tool_calls": _not_several,
        "frequency_penalty": _since_gemini_3,
        "presence_penalty": _since_gemini_3,
        STRICT: _every,
    },
    "MistralConfig": {"tool_choice": _by_name},
    "CohereV2ChatConfig": _NO_CHOICE,
    "AmazonCohereConfig": _NO_CHOICE,
    "OllamaChatConfig": _NO_CHOICE,
    "DeepInfraConfig": _NO_CHOICE,
    "GroqChatConfig": {"response_format": _schema_beside_tools},
    "XAIChatConfig": _of(f"{STRICT} web_search_options"),
    "HostedVLLMChatConfig": {"thinking": _disabled, STRICT: _every},
    "FireworksAIConfig": {
        "response_format": _beside_tools,
        **_of("include_reasoning chat_template_kwargs stop_token_ids guided_regex"),
        STRICT: _every,
    },
    "IBMWatsonXChatConfig": _of(f"{STRICT} top_k repetition_penalty min_tokens"),
    "LlamaAPIConfig": {"response_format": _json_object},
}
"""The SDK's class for a provider to what is lost there; the nearest class of its family counts."""


def lost(sdk: Any, provider: str, model: str, body: Json) -> list[str]:
    """The parameters of the body that would not reach this model; ``model`` without its service."""
    losses = LOST.get(_family(sdk, provider, model), {})
    asked = {**body, STRICT: _strict(body)}
    return [
        name
        for name, is_lost in losses.items()
        if asked.get(name) is not None and is_lost(asked[name], model, body)
    ]


def loses_names(sdk: Any, provider: str, model: str, body: Json) -> bool:
    """Whether names of speakers do not reach this model. A tool's result is told by its call."""
    named = (m for m in body.get("messages") or () if m.get("name") is not None)
    if not any(m.get("role") not in ("tool", "function") for m in named):
        return False
    return _family(sdk, provider, model) in _NAMELESS


def _strict(body: Json) -> bool | None:
    for tool in body.get("tools") or ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and function.get("strict"):
            return True
    return None


@functools.lru_cache(maxsize=1024)
def _family(sdk: Any, provider: str, model: str) -> str:
    """The name of the nearest class in ``LOST`` to the one that translates for this model."""
    providers = sdk.types.utils.LlmProviders
    if provider not in {known.value for known in providers}:
        return ""
    config = sdk.ProviderConfigManager.get_provider_chat_config(
        model=model, provider=providers(provider)
    )
    classes = (cls.__name__ for cls in type(config).__mro__)
    return next((name for name in classes if name in LOST), "")
