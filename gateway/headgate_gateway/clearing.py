"""A reply's texts, each with a buffer of its own, on their way through the checks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

from headgate_core.ports import Guarded, Guards
from headgate_core.types import At, Json, Verdict
from headgate_gateway.chunks import chunk_like
from headgate_gateway.texts import Channel, Slot, every_slot, number, part, slots, uncheckable

TextKey: TypeAlias = tuple[int, Channel, str]
"""Choice, channel and member."""


class Clearing:
    """Lets out only what has been checked. A text's state lasts until its choice is finished.

    What cannot be checked is taken out and named in ``dropped``: ``logprobs`` spell the text out
    token by token, and unknown members of a streamed delta cannot be put together again.
    """

    def __init__(self, guards: Guards, verdicts: list[Verdict], dropped: list[str]) -> None:
        self._guards = guards
        self._verdicts = verdicts
        self._dropped = dropped
        self._open: dict[TextKey, Guarded] = {}

    async def clear(self, body: Json) -> AsyncIterator[Json]:
        """What may go out now that ``body`` has come, rests of finished texts first.

        Raises ``Stopped`` when a check blocks.
        """
        self._take_out(body)
        emptied = await self._feed(body)
        for choice in body.get("choices") or ():
            if "message" in choice:
                await self._complete(choice)
            elif choice.get("finish_reason"):
                for rest in await self._rests(body, number(choice)):
                    yield rest
        if not emptied or _worth_sending(body):
            yield body

    async def rest(self, body: Json) -> AsyncIterator[Json]:
        """Texts whose choice never finished: checked and let out at the reply's end."""
        for index in dict.fromkeys(key[0] for key in list(self._open)):
            for rest in await self._rests(body, index):
                yield rest

    def _take_out(self, body: Json) -> None:
        for choice in body.get("choices") or ():
            if choice.get("logprobs"):
                choice["logprobs"] = None
                self._drop("logprobs")
            if "message" not in choice:
                for name in uncheckable(choice):
                    del part(choice)[name]
                    self._drop(f"delta.{name}")

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)

    async def _feed(self, body: Json) -> bool:
        """Put every text into its buffer; returns whether any was held back whole."""
        emptied = False
        for slot in list(slots(body)):
            at = _place(slot)
            if self._guards.guards(at):
                slot.text = await self._buffer(slot, at).feed(slot.text)
                emptied = emptied or not slot.text
        return emptied

    def _buffer(self, slot: Slot, at: At) -> Guarded:
        key = (slot.choice, slot.channel, slot.key)
        if key not in self._open:
            subject = f"choice {slot.choice} {slot.key}"
            self._open[key] = self._guards.stream(at, subject, self._verdicts)
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
        """Chunks with the rests of a choice; text that ``body`` still carries goes before them."""
        chunks = []
        for key in [k for k in self._open if k[0] == index]:
            rest = await self._open.pop(key).flush()
            if rest:
                text = _taken_from(body, key) + rest
                chunks.append(chunk_like(body, index, _delta(key, text)))
        return chunks


def _place(slot: Slot) -> At:
    return "tool_calls" if slot.channel == "tool" else "output"


def _taken_from(body: Json, key: TextKey) -> str:
    for slot in slots(body):
        if (slot.choice, slot.channel, slot.key) == key:
            text, slot.text = slot.text, ""
            return text
    return ""


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
