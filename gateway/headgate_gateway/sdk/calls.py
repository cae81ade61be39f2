"""One call of litellm's SDK: what it returns, and what the wire says about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from typing import Any

import orjson

from headgate_core.errors import UpstreamError, UpstreamMalformed, UpstreamStatus, UpstreamTruncated
from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_core.types import Json, Usage
from headgate_gateway.replies.chunks import (
    chunk_like,
    finishes,
    has_content,
    observe,
    observe_spent,
    usage_of,
    wants_usage,
)
from headgate_gateway.replies.salvage import is_page, salvage
from headgate_gateway.replies.texts import number
from headgate_gateway.sdk.errors import mapped, may_be_callers, noted, untranslated
from headgate_gateway.sdk.reasons import explain
from headgate_gateway.sdk.untranslated import culprit
from headgate_gateway.sdk.wire import Wire
from headgate_gateway.upstream import lenient_json

_CHARACTERS_PER_TOKEN = 4


class Call:
    """One call of the SDK, and what it got over the wire."""

    def __init__(self, request: ModelRequest, owner: str) -> None:
        """``owner`` names the provider whose clients the SDK is to use."""
        self.facts = Facts()
        self._owner = owner
        self._wire = Wire(owner)
        self._body = request.body
        self._made: tuple[Callable[..., Awaitable[Any]], Json] | None = None
        self._call_id = request.context.call_id if request.context is not None else "(no id)"
        self._asked = wants_usage(request.body)
        self._ended: set[int] = set()
        """The choices of a stream whose ends the SDK has told."""

    async def made(self, function: Callable[..., Awaitable[Any]], arguments: Json) -> Any:
        """What the SDK's function returns. Raises ``UpstreamError``."""
        self._made = function, arguments
        try:
            with self._wire.listening():
                return await function(**arguments)
        except Exception as error:  # the SDK's own exceptions, mapped at one border
            raise await self._mapped(error) from error

    async def whole(
        self,
        function: Callable[..., Awaitable[Any]],
        arguments: Json,
        read_facts: Callable[[Facts, Json], None],
    ) -> Reply:
        """The reply in one piece. Raises ``UpstreamError``.

        One that came and is none says so in its events: its facts tell what was spent on it.
        """
        try:
            body = plain_body(await self.made(function, arguments))
            if self._wire.tells_tokens is False:
                body.pop("usage", None)  # the SDK's own count, or zeros
            if self._wire.tells_units is False:
                ((body.get("meta") or {}).get("billed_units") or {}).pop("search_units", None)
            self._tiered(self._wire.told.tier or self._wire.tier)
            if (failure := self._explained(body)) is not None:
                observe_spent(self.facts, body)
                return Reply(False, _refused(failure), self.facts)
            read_facts(self.facts, body)
        except (UpstreamMalformed, UpstreamTruncated) as error:
            if not self._wire.status:
                raise
            salvage(self.facts, self._wire.kept)
            return Reply(False, _refused(error), self.facts)
        return Reply(False, _shown(body), self.facts)

    async def stream(self, answer: Any) -> Events:
        """The SDK ends a stream that was cut off as if it were whole, and makes up its reason.

        So the chunk with the reason waits until what came over the wire has been looked at. What
        is wrong there is raised behind what the SDK still has to say, as the network may bring both
        at once.
        """
        held: Json | None = None
        try:
            async for body in self._bodies(answer):
                if held is not None and self._wire.fault() is None:
                    yield Chunk(held)
                held = body if finishes(body) else None
                if held is None:
                    yield Chunk(body)
        except UpstreamError:
            self.facts.usage = _so_far(answer, self.facts)
            raise
        finally:
            close = getattr(answer, "aclose", None)
            if close is not None:
                await close()
        if held is not None:
            yield Chunk(held)
        yield Done()

    async def _bodies(self, answer: Any) -> AsyncIterator[Json]:
        """The chunks to show, and then what is wrong on the wire. Raises ``UpstreamError``."""
        items, usage = aiter(answer), None
        last: Json = {}
        while (item := await self._next(items)) is not None:
            body = plain_body(item)
            if (ended := finishes(body)) and self._wire.fault() is None:
                self._told_why(answer)
                self._explained(body)
            self._ended |= {number(choice) for choice in ended}
            last = body
            observe(self.facts, body)
            self._tiered(self._wire.tier)
            told = body.pop("usage", None)
            if told:
                usage = {**body, "choices": [], "usage": told}
            if not told or ended or has_content(body):
                yield body
        self._check()
        self._told_why(answer)
        for body in self._unsaid(last):
            observe(self.facts, body)
            yield body
        if not _reported(answer, default=True):
            self.facts.usage = usage = None  # the SDK's own count: no two providers' are alike
        if usage is not None and self._asked:
            yield usage

    def _tiered(self, told: str) -> None:
        """The wire's own word for the tier: the SDK passes on that of some providers alone."""
        self.facts.service_tier = told or self.facts.service_tier

    async def _next(self, items: AsyncIterator[Any]) -> Any:
        """The next chunk, None at the end. Of some providers the SDK sends the request only now."""
        try:
            with self._wire.listening():
                return await anext(items, None)
        except Exception as error:  # the same, in mid-stream, mapped at one border
            raise await self._mapped(error) from error

    def _check(self) -> None:
        fault = self._wire.fault(over=True)
        if fault is None and not self.facts.content:
            fault = self._wire.unread
        if fault is not None:
            raise fault

    def _told_why(self, answer: Any) -> None:
        """Of a provider whose end is not known: has the SDK made up the reason for the end?"""
        reasons = ("received_finish_reason", "intermittent_finish_reason")
        if self._wire.knows or not hasattr(answer, reasons[0]):
            return
        if not any(getattr(answer, reason, None) for reason in reasons):
            unread = None if self.facts.content else self._wire.unread
            raise unread or UpstreamTruncated("The stream ended without a finish_reason.")

    def _explained(self, body: Json) -> UpstreamError | None:
        """Let the choices say why they end as the provider does; what it says that it failed of."""
        told = self._wire.told
        for choice in body.get("choices") or ():
            word = told.reasons.get(number(choice))
            if word is not None:
                explain(choice, word)
            if word is not None and told.matched:
                choice["stop_reason"] = told.matched  # as vLLM says it
        return told.error

    def _unsaid(self, like: Json) -> Iterator[Json]:
        """The ends of choices that the SDK keeps to itself: of several it tells one alone."""
        for choice, word in self._wire.told.reasons.items():
            if choice not in self._ended:
                body = chunk_like(like, choice, {})
                explain(body["choices"][0], word)
                yield body

    async def _mapped(self, error: Exception) -> UpstreamError:
        found = mapped(error, self._wire)
        if self._made is not None and not self._wire.asked and may_be_callers(error, found):
            member = await culprit(*self._made, self._body, self._owner)
            found = found if member is None else untranslated(found, member)
        if isinstance(found, UpstreamMalformed):
            found.worked = bool(self._wire.status) and not is_page(self._wire.kept)
        if not isinstance(found, UpstreamStatus):  # a reply with a status explains itself
            noted(error, self._call_id)
        return found


def plain_body(answer: Any) -> Json:
    """The SDK's object as an OpenAI body. Raises ``UpstreamMalformed``."""
    dump = getattr(answer, "model_dump", None)
    body = dump(exclude_none=True) if dump is not None else answer
    if not isinstance(body, Mapping):
        raise UpstreamMalformed(f"The SDK returned a {type(answer).__name__}.")
    plain = _readable(dict(body))
    for choice in plain.get("choices") or ():
        choice.setdefault("finish_reason", None)
        message = choice.get("message") or {}
        refusal = (message.get("provider_specific_fields") or {}).get("refusal")
        if refusal is not None:  # OpenAI's own member, which the SDK puts away there
            message.setdefault("refusal", refusal)
    return plain


def _readable(body: Json) -> Json:
    """The SDK reads halves of surrogate pairs, which cannot be written again."""
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        with suppress(TypeError, ValueError):
            return dict(lenient_json.mended(body))
    return body


async def _shown(body: Json) -> Events:
    yield Chunk(body)
    yield Done()


async def _refused(error: UpstreamError) -> Events:
    raise error
    yield


def _reported(answer: Any, *, default: object = ()) -> Any:
    """The usages in the provider's own chunks; ``default`` where the SDK keeps none."""
    chunks: Iterable[Any] | None = getattr(answer, "chunks", None)
    if chunks is None:
        return default
    return [chunk.usage for chunk in chunks if getattr(chunk, "usage", None)]


def _so_far(answer: Any, facts: Facts) -> Usage | None:
    """What a stream that broke off had reported, the most of each number; None = nothing.

    Some report a first token before the text: then the tokens of the text count, left to others.
    """
    told = [usage_of(plain_body(usage)) for usage in _reported(answer)]
    if not told:
        return facts.usage
    written = max(usage.output_tokens for usage in told)
    most = {f.name: max(getattr(usage, f.name) for usage in told) for f in fields(Usage)}
    most["output_tokens"] *= written * _CHARACTERS_PER_TOKEN >= facts.output_characters
    return Usage(**most | {"estimated": True})
