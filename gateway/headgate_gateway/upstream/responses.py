"""Replies of an upstream's own ``/responses``: what the record needs of them, how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate_core.errors import UpstreamError, UpstreamMalformed, UpstreamTruncated
from headgate_core.reply import Event, Facts
from headgate_core.types import Json
from headgate_gateway.replies.chunks import usage_of
from headgate_gateway.replies.tiers import served_tier
from headgate_gateway.sse import SseEvent
from headgate_gateway.upstream.chat_stream import passed
from headgate_gateway.upstream.errors import parsed, reported

_STARTING = frozenset(
    f"response.{name}"
    for name in ("created", "queued", "in_progress", "output_item.added", "content_part.added")
) | {"response.reasoning_summary_part.added", "keepalive"}
"""Events that bring nothing yet: while there are no others, another target may still answer."""
_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILURES = frozenset({"error", "response.failed", "response.cancelled"})
_CALLS = ("function_call", "custom_tool_call")


class ResponseStream:
    """Passes the events of one stream on as they came; comments are dropped."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.ended = False
        self._complete = False

    def take(self, event: SseEvent) -> Event | None:
        """What goes on to the caller now. Raises ``UpstreamError``."""
        if not event.data:
            return None
        body = parsed(event.data)
        try:
            failure = self._read(body)
        except (AttributeError, TypeError, ValueError) as error:
            raise UpstreamMalformed("An event is not shaped like one of a response.") from error
        if failure is not None:
            raise failure
        return passed(event, body)

    def end(self) -> Event | None:
        """The upstream's body ended. Raises ``UpstreamTruncated``; there is nothing more to say."""
        if not self._complete:
            raise UpstreamTruncated(
                "The stream ended without response.completed or response.incomplete."
            )
        return None

    def _read(self, body: Json) -> UpstreamError | None:
        kind = body.get("type")
        if not isinstance(kind, str):
            return reported(body) or UpstreamMalformed("An event of the stream has no type.")
        response = body.get("response") or {}
        if response:
            _named(self._facts, response)
        if kind in _FAILURES:
            return _failure(response.get("error") or body.get("error") or body)
        if kind in _ENDS:
            _finished(self._facts, response)
            self.ended = self._complete = True
        delta = body.get("delta")
        if isinstance(delta, str):
            self._facts.output_characters += len(delta)
        nothing = kind in _STARTING or (kind.endswith(".delta") and not delta)
        self._facts.content = self._facts.content or not nothing
        return None


def observe_response(facts: Facts, body: Json) -> None:
    """Read a whole response. Raises ``UpstreamError`` when it failed or is none."""
    try:
        _observe(facts, body)
    except (AttributeError, TypeError, ValueError) as error:
        raise UpstreamMalformed("The reply is not shaped like a response.") from error


def _observe(facts: Facts, body: Json) -> None:
    status = body.get("status")
    _named(facts, body)  # first: the tokens of a reply that is thrown away cost money too
    if body.get("error") or status in ("failed", "cancelled"):
        raise _failure(body.get("error") or {})
    if not isinstance(body.get("output"), list):
        raise UpstreamMalformed("The reply has no `output`.")
    if status not in (None, "completed", "incomplete"):
        raise UpstreamMalformed(f"The response is not complete: its status is {status!r}.")
    _finished(facts, body)
    facts.content = True
    facts.output_characters = sum(map(len, _texts(body["output"])))


def _named(facts: Facts, response: Json) -> None:
    """Name, model and usage; the last usage wins."""
    facts.response_id = facts.response_id or str(response.get("id") or "")
    facts.model = facts.model or str(response.get("model") or "")
    facts.service_tier = served_tier(response) or facts.service_tier
    usage = response.get("usage")
    if usage and not isinstance(usage, dict):
        facts.usage = usage_of(usage)
    elif usage:
        facts.usage = usage_of(
            {
                "prompt_tokens": usage.get("input_tokens"),
                "prompt_tokens_details": usage.get("input_tokens_details"),
                "completion_tokens": usage.get("output_tokens"),
                "completion_tokens_details": usage.get("output_tokens_details"),
            }
        )


def _finished(facts: Facts, response: Json) -> None:
    """Why it ended, in the words that chat has for it."""
    details = response.get("incomplete_details")
    why = details.get("reason") if isinstance(details, dict) else None
    if response.get("status") == "incomplete" or why:
        reason = "length" if why in (None, "max_output_tokens") else str(why)
    else:
        called = any(item.get("type") in _CALLS for item in response.get("output") or ())
        reason = "tool_calls" if called else "stop"
    facts.finish_reasons.append(reason)


def _failure(error: Any) -> UpstreamError:
    """A response that failed: the caller's own fault keeps its code, all else may be retried."""
    said: Json = error if isinstance(error, dict) else {"message": str(error)}
    failure = reported({"error": said})
    return failure or UpstreamError("The upstream's response failed.")


def _texts(value: Any, member: str = "") -> Iterator[str]:
    """The texts that a response's output says."""
    if isinstance(value, str):
        if member in ("text", "refusal", "arguments", "input"):
            yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, name)
