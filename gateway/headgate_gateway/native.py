"""Calls that go to an upstream in the wire in which they came: when, and what they may ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from headgate_core.endpoints import WIRES
from headgate_core.errors import InvalidRequest
from headgate_core.ports import Provider
from headgate_core.settings.pools import PoolSettings
from headgate_core.types import Json
from headgate_gateway.merging import LIMITS
from headgate_gateway.plan import RoutePlan
from headgate_gateway.routing.parameters import UnsupportedParameter
from headgate_gateway.routing.pools import chain

_SAME = ("temperature", "top_p", "user")
_WORDS: dict[str, dict[str, str]] = {
    "responses": {
        **{name: name for name in (*_SAME, "metadata", "service_tier", "store")},
        **{name: name for name in ("parallel_tool_calls", "safety_identifier")},
        **dict.fromkeys(LIMITS, "max_output_tokens"),
    },
    "completions": {
        **{name: name for name in (*_SAME, "stop", "seed", "n", "logit_bias")},
        **{name: name for name in ("presence_penalty", "frequency_penalty")},
        **dict.fromkeys(LIMITS, "max_tokens"),
    },
}
"""Parameters of chat by what they are called in each wire."""

_STATE = ("previous_response_id", "conversation", "prompt")
_BACKGROUND = (
    "`background` is not served: the answer comes in this call; of a later one the gateway would "
    "learn neither the text nor the cost."
)


def native_plans(
    plan: RoutePlan,
    pools: Mapping[str, PoolSettings],
    speaks: Mapping[str, Collection[str]],
    compiled: Callable[[RoutePlan], object],
) -> dict[str, RoutePlan]:
    """The route's plans for the wires that one of its targets speaks; none where text is needed.

    ``speaks``: provider to the wires of its upstream. A target that does not speak the wire is
    asked by translation.
    """
    if plan.serves != "chat" or plan.text or plan.prompt is not None or plan.guards is not None:
        return {}
    asked = {*plan.parameters, *plan.parts.settings.defaults.parameters, *plan.settings.locked}
    found: dict[str, RoutePlan] = {}
    for wire in WIRES:
        reached = (t for pool in chain(pools, plan.settings.pool) for t in pool.targets)
        providers = {t.provider for t in reached if wire in speaks.get(t.provider, ())}
        if providers and asked <= _WORDS[wire].keys():
            found[wire] = replace(plan, wire=wire, one_state=len(providers) == 1)
            compiled(found[wire])
    return found


def speaks(providers: Mapping[str, Provider]) -> dict[str, frozenset[str]]:
    """Provider to the wires beside chat that its upstream speaks itself."""
    return {name: frozenset(getattr(made, "native", ())) for name, made in providers.items()}


def marks(providers: Mapping[str, Provider]) -> dict[str, Callable[[str], bool]]:
    """Provider to which of its models take ``cache_control`` in chat."""
    asked = {name: getattr(made, "cache_control", None) for name, made in providers.items()}
    return {name: ask for name, ask in asked.items() if ask is not None}


def takes_marks(plan: RoutePlan, pools: Mapping[str, PoolSettings]) -> bool:
    """Whether ``cache_control`` arrives at whichever target answers, in the caller's messages."""
    known = plan.parts.marks
    reached = [t for pool in chain(pools, plan.settings.pool) for t in pool.targets]
    return plan.prompt is None and all(
        t.provider in known and known[t.provider](t.model) for t in reached
    )


def worded(parameters: Json, wire: str) -> Json:
    """Parameters of chat as the wire says them; of two names of one bound the first one counts."""
    said: Json = {}
    for name, value in parameters.items():
        said.setdefault(_WORDS[wire][name], value)
    return said


def validate_native(body: Json, plan: RoutePlan) -> None:
    """Raises ``InvalidRequest`` for what cannot be passed on; all else is the upstream's to judge.

    Responses that are kept belong to the upstream that keeps them: a request may name one only
    where there is no doubt which upstream that is.
    """
    if not isinstance(body.get("stream", False), bool | None):
        raise InvalidRequest("`stream` must be true or false.", param="stream")
    if plan.wire != "responses":
        return
    if body.get("background"):
        raise UnsupportedParameter(_BACKGROUND, param="background")
    for name in _STATE:
        if body.get(name) is not None and not plan.one_state:
            raise UnsupportedParameter(
                f"`{name}` is not served here: it is kept by one upstream, and several may answer "
                f"a call to {plan.name!r}.",
                param=name,
            )
