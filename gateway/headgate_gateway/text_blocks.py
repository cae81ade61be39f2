"""Very many short strings at one check's cost for each block of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from headgate_core.errors import GuardFailed
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Verdict
from headgate_gateway.caller_texts import Place

BLOCK = 8192
"""Characters of strings that are looked at as one text, which takes some milliseconds."""
SHORT = 512
"""Characters of a string that is looked at together with others."""
_JSON = ("{", "[", "`")


@dataclass(slots=True)
class Blocks:
    """The checks of one place on many strings, joined by line ends as far as they are clean.

    Where something is found in a block it is halved until the string stands alone. Strings are
    joined only where no check overlooks in a longer text what it finds in a short one.
    """

    guards: Guards
    at: At
    verdicts: list[Verdict]

    async def mask(self, places: Sequence[Place]) -> None:
        """Write over each string what its check leaves. Raises ``Stopped`` and ``GuardFailed``."""
        for block in self._blocks(places):
            await self._mask(block)

    async def held(self, places: Sequence[Place], *, all_of_them: bool) -> list[Place]:
        """The strings in which something is found, or the first one; each string once.

        Raises ``Stopped`` and ``GuardFailed``.
        """
        held: list[Place] = []
        for block in self._blocks(list({p.text: p for p in reversed(places)}.values())[::-1]):
            waiting = [block]
            while waiting:
                now = waiting.pop()
                if len(now) == 1:
                    held += now if await self._dirty(now[0]) else ()
                elif not await self._clean(now):
                    middle = len(now) // 2
                    waiting += [now[middle:], now[:middle]]
                if held and not all_of_them:
                    return held
        return held

    def _blocks(self, places: Sequence[Place]) -> Iterator[Sequence[Place]]:
        together = self.guards.joins(self.at)
        block: list[Place] = []
        size = 0
        for place in places:
            length = len(place.text) + 1
            if not together or length > SHORT:
                yield [place]
                continue
            if size + length > BLOCK:
                yield block
                block, size = [], 0
            block.append(place)
            size += length
        if block:
            yield block

    async def _mask(self, block: Sequence[Place]) -> None:
        if len(block) == 1:
            [place] = block
            cleared = await self.guards.check(self.at, place.text, place.subject, self.verdicts)
            place.holder[place.member] = cleared or ""
            return
        found: list[Verdict] = []
        cleared = await self._joined(block, found)
        apart = _apart(block, cleared, found)
        if apart is None:
            middle = len(block) // 2
            await self._mask(block[:middle])
            await self._mask(block[middle:])
            return
        self.verdicts += found
        for place, text in zip(block, apart, strict=True):
            place.holder[place.member] = text

    async def _joined(self, block: Sequence[Place], found: list[Verdict]) -> str | None:
        """What the checks leave of all of them, None = not all of it."""
        text = "\n".join(place.text for place in block)
        try:
            return await self.guards.check(self.at, text, block[0].subject, found)
        except Stopped:
            return None
        except GuardFailed:
            self.verdicts += found
            raise

    async def _clean(self, block: Sequence[Place]) -> bool:
        found: list[Verdict] = []
        cleared = await self._joined(block, found)
        return not found and cleared == "\n".join(place.text for place in block)

    async def _dirty(self, place: Place) -> bool:
        """Its verdict says that it blocks, for a masked name is the name of something else."""
        found: list[Verdict] = []
        try:
            cleared = await self.guards.check(self.at, place.text, place.subject, found)
        finally:
            self.verdicts += [
                replace(v, action="block") if v.action == "mask" else v for v in found
            ]
        return cleared != place.text


def _apart(
    block: Sequence[Place], cleared: str | None, found: Sequence[Verdict]
) -> list[str] | None:
    """The strings again, None where they must be looked at in smaller blocks."""
    texts = [place.text for place in block]
    if not found and cleared == "\n".join(texts):
        return texts
    if cleared is None or len({place.subject for place in block}) > 1:
        return None
    if any((v.action, v.mode, v.error) != ("mask", "enforce", "") for v in found):
        return None
    if any(text.lstrip().startswith(_JSON) for text in texts):
        return None  # in JSON a mask is written in another way
    lines = cleared.split("\n")
    ends = [text.count("\n") + 1 for text in texts]
    if len(lines) != sum(ends):
        return None  # a finding has reached over the end of a string
    rest = iter(lines)
    return ["\n".join(next(rest) for _ in range(count)) for count in ends]
