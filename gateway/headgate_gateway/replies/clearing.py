"""A reply's texts, each with a buffer of its own, on their way through the checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

from headgate_core.ports import Guarded, Guards
from headgate_core.types import At, Json, Verdict
from headgate_gateway.replies.chunks import chunk_like
from headgate_gateway.replies.later_calls import LaterCalls
from headgate_gateway.replies.sieve import Sieve
from headgate_gateway.replies.texts import (
    Channel,
    Slot,
    every_slot,
    giving_way,
    number,
    part,
    slots,
)

TextKey: TypeAlias = tuple[int, Channel, str]
"""Choice, channel and member."""


class Clearing:
    """Lets out only what has been checked; ``dropped`` names what was taken out (see ``Sieve``).

    A stream's choices finish when the stream does: text that came after a ``finish_reason`` would
    otherwise be checked apart from the text that the client joins it to.
    """

    def __init__(self, guards: Guards, sieve: Sieve, verdicts: list[Verdict], *, stream: bool):
        self._guards = guards
        self._sieve = sieve
        self._verdicts = verdicts
        self._stream = stream
        self._open: dict[TextKey, Guarded] = {}
        self._silent: set[TextKey] = set()
        """Texts that have begun and of which nothing has gone out: calls must not overtake them."""
        self._later = LaterCalls(free=not guards.guards("tool_calls"))
        self._finished: dict[int, Json] = {}
        """For each choice that has finished, the chunk that says so."""
        self._after: list[Json] = []
        """Chunks without choices that came after a finish: usage."""
        self._last: Json = {}

    async def clear(self, body: Json) -> Json | None:
        """What may go out now that ``body`` has come. Raises ``Stopped`` when a check blocks."""
        await self._sieve.sift(body, stream=self._stream)
        if not self._stream:
            await self._feed(body, "output")
            await self._feed(body, "tool_calls")
            for choice in body.get("choices") or ():
                await self._complete(choice)
            return body
        self._last = body
        emptied = self._finish(body)
        emptied = await self._feed(body, "output") or emptied
        emptied = self._set_aside(body) or emptied
        emptied = await self._feed(body, "tool_calls") or emptied
        if self._finished and not body.get("choices"):
            self._after.append(body)
            return None
        return body if not emptied or _worth_sending(body) else None

    def _set_aside(self, body: Json) -> bool:
        """Keep calls that would overtake others, or a text that has begun and is held back."""
        for choice, *_ in self._silent:
            self._later.all_wait(choice)
        return self._later.set_aside(body)

    async def rest(self) -> AsyncIterator[Json]:
        """The stream is over: the rests of its texts, then the ends of its choices."""
        waiting = [*(key[0] for key in self._open), *self._later.choices, *self._finished]
        for index in dict.fromkeys(waiting):
            for rest in await self._rests(self._last, index):
                yield rest
            if index in self._finished:
                yield self._finished.pop(index)
        for body in self._after:
            yield body

    def _finish(self, body: Json) -> bool:
        """Keep the choices' ends for the end; returns whether there was any."""
        found = False
        for choice in body.get("choices") or ():
            if choice.get("finish_reason"):
                end = chunk_like(body, number(choice), {})
                end["choices"] = [{**choice, "index": number(choice), "delta": {}}]
                self._finished[number(choice)] = end
                choice["finish_reason"] = None
                found = True
        return found

    async def _feed(self, body: Json, at: At) -> bool:
        """Put every text of a place into its buffer; returns whether any was held back whole."""
        emptied = False
        async for slot in giving_way(list(slots(body)) if self._guards.guards(at) else ()):
            if _place(slot) == at:
                slot.text = await self._buffer(slot, at).feed(slot.text)
                emptied = emptied or not slot.text
                if slot.text:
                    self._silent.discard((slot.choice, slot.channel, slot.key))
        return emptied

    def _buffer(self, slot: Slot, at: At) -> Guarded:
        key = (slot.choice, slot.channel, slot.key)
        if key not in self._open:
            subject = f"choice {slot.choice} {slot.key}"
            self._open[key] = self._guards.stream(at, subject, self._verdicts)
            if at == "output":
                self._silent.add(key)
        return self._open[key]

    async def _complete(self, choice: Json) -> None:
        """A whole message: every text gets its rest where it stands."""
        found = {(s.channel, s.key): s for s in every_slot(choice)}
        for key in [k for k in self._open if k[0] == number(choice)]:
            rest = await self._open.pop(key).flush()
            if rest:
                slot = found[key[1], key[2]]
                slot.text += rest

    async def _rests(self, body: Json, index: int) -> list[Json]:
        """Chunks with the rests of a choice."""
        chunks: list[Json] = []
        for key in [k for k in self._open if k[0] == index]:
            rest = await self._open.pop(key).flush()
            if rest:
                chunks.append(chunk_like(body, index, _delta(key, rest)))
        async for delta in giving_way(self._later.taken(index)):
            chunk = chunk_like(body, index, delta)
            await self._feed(chunk, "tool_calls")
            await self._complete(chunk["choices"][0])
            chunks.append(chunk)
        return chunks


def _place(slot: Slot) -> At:
    return "tool_calls" if slot.channel == "tool" else "output"


def _worth_sending(body: Json) -> bool:
    """Whether anything but empty texts is left: a role, a tool call's name, a finish, usage."""
    if body.get("usage") or not body.get("choices"):
        return True
    for choice in body["choices"]:
        if choice.get("finish_reason") or any(
            v not in ("", None, []) for v in part(choice).values()
        ):
            return True
    return False


def _delta(key: TextKey, text: str) -> Json:
    if key[2] == "function_call":
        return {"function_call": {"arguments": text}}
    if key[2] == "audio":
        return {"audio": {"transcript": text}}
    if key[1] != "tool":
        return {key[2]: text}
    _, index, kind = key[2].split(" ")
    member = "arguments" if kind == "function" else "input"
    return {"tool_calls": [{"index": int(index), kind: {member: text}}]}
