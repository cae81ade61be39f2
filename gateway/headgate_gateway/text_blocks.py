"""Very many short strings at one check's cost for each block of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import orjson

from headgate_core.errors import GuardFailed
from headgate_core.ports import Guards, Stopped
from headgate_core.types import At, Replaced, Verdict
from headgate_gateway.caller_texts import Place
from headgate_gateway.part_runs import applied

BLOCK = 8192
"""Characters of strings that are looked at as one text, which takes some milliseconds."""
SHORT = 512
"""Characters of a string that is looked at together with others."""
_BETWEEN = "\n.\n"
"""Ends a sentence, so that nearly nothing is found over it; lines of JSON have a line end."""
MOST_VERDICTS = 200
"""Verdicts of one call that each name the one string that they are about."""


@dataclass(slots=True)
class Blocks:
    """The checks of one place on many strings, joined as far as they are clean.

    Each string of a block in which something is found is looked at alone, as long as they are few;
    where only the verdicts tell of it, the block is halved. Strings are joined only where no check
    overlooks in a longer text what it finds in a short one.
    """

    guards: Guards
    at: At
    verdicts: list[Verdict]

    async def mask(self, places: Sequence[Place]) -> None:
        """Write over each string what its check leaves. Raises ``Stopped`` and ``GuardFailed``."""
        for place, replaced in await self.replaced(places):
            text = applied(place.text, replaced, 0, len(place.text))
            place.holder[place.member] = text

    async def replaced(self, places: Sequence[Place]) -> list[tuple[Place, list[Replaced]]]:
        """What is to be replaced in which strings. Raises ``Stopped`` and ``GuardFailed``."""
        return [one for block in self._blocks(places) for one in await self._replaced(block)]

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
                else:
                    dirty, halves = await self._in_block(now, all_of_them)
                    held += dirty
                    waiting += halves[::-1]
                if held and not all_of_them:
                    return held
        return held

    async def _in_block(
        self, block: Sequence[Place], all_of_them: bool
    ) -> tuple[list[Place], list[Sequence[Place]]]:
        """Of strings that cannot be masked, those with findings, else the halves to look at."""
        found: list[Verdict] = []
        touched = await self._touched(block, found)
        if touched is None:
            return [], _halves(block)
        few = len(self.verdicts) < MOST_VERDICTS
        self.verdicts += () if few else map(_blocking, found)
        held: list[Place] = []
        for place, own in touched:
            if not (few or own is None) or await self._dirty(place):
                held.append(place)
            if held and not all_of_them:
                break
        return held, []

    def _blocks(self, places: Sequence[Place]) -> Iterator[Sequence[Place]]:
        together = self.guards.joins(self.at)
        blocks: dict[bool, list[Place]] = {False: [], True: []}
        sizes = {False: 0, True: 0}
        for place in places:
            length = len(place.text) + len(_BETWEEN)
            if not together or length > SHORT:
                yield [place]
                continue
            json = _is_json(place.text)
            if sizes[json] + length > BLOCK:
                yield blocks[json]
                blocks[json], sizes[json] = [], 0
            blocks[json].append(place)
            sizes[json] += length
        yield from filter(None, blocks.values())

    async def _replaced(self, block: Sequence[Place]) -> list[tuple[Place, list[Replaced]]]:
        if len(block) == 1:
            return await self._alone(block[0])
        found: list[Verdict] = []
        touched = await self._touched(block, found)
        if touched is None:
            return [one for half in _halves(block) for one in await self._replaced(half)]
        few = len(self.verdicts) < MOST_VERDICTS
        if found and not few:
            last, first = block[-1].subject, block[0].subject
            subject = first if first == last else f"{first} to {last}"
            self.verdicts += [replace(v, subject=subject) for v in found]
        done: list[tuple[Place, list[Replaced]]] = []
        for place, own in touched:
            done += await self._alone(place) if few or own is None else [(place, own)]
        return done

    async def _alone(self, place: Place) -> list[tuple[Place, list[Replaced]]]:
        replaced: list[Replaced] = []
        told = (place.text, place.subject, self.verdicts, replaced)
        if await self.guards.check(self.at, *told) is None:
            replaced = [Replaced(0, len(place.text), "")]
        return [(place, replaced)] if replaced else []

    async def _touched(
        self, block: Sequence[Place], found: list[Verdict]
    ) -> list[tuple[Place, list[Replaced] | None]] | None:
        """The strings in which something is replaced, None where only smaller blocks will tell.

        With what is replaced, or None where that reaches over an end of the string.
        """
        between = "\n" if _is_json(block[0].text) else _BETWEEN
        text = between.join(place.text for place in block)
        replaced: list[Replaced] = []
        try:
            cleared = await self.guards.check(self.at, text, block[0].subject, found, replaced)
        except Stopped:
            return None
        except GuardFailed:
            self.verdicts += found
            raise
        plain = all((v.action, v.mode, v.error) == ("mask", "enforce", "") for v in found)
        if cleared is None or not (plain or len(self.verdicts) >= MOST_VERDICTS):
            return None
        return _apart(block, len(between), replaced)

    async def _dirty(self, place: Place) -> bool:
        """Its verdict says that it blocks, for a masked name is the name of something else."""
        found: list[Verdict] = []
        try:
            cleared = await self.guards.check(self.at, place.text, place.subject, found)
        finally:
            self.verdicts += map(_blocking, found)
        return cleared != place.text


def _is_json(text: str) -> bool:
    """In JSON a mask is written in another way; lines of JSON are joined with such lines alone."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _blocking(verdict: Verdict) -> Verdict:
    return replace(verdict, action="block") if verdict.action == "mask" else verdict


def _halves(block: Sequence[Place]) -> list[Sequence[Place]]:
    middle = len(block) // 2
    return [block[:middle], block[middle:]]


def _apart(
    block: Sequence[Place], between: int, replaced: Sequence[Replaced]
) -> list[tuple[Place, list[Replaced] | None]]:
    """What is replaced in each string, as ``Blocks._touched`` says."""
    apart: list[tuple[Place, list[Replaced] | None]] = []
    rest = list(replaced)[::-1]
    begin = 0
    for place in block:
        end = begin + len(place.text)
        own: list[Replaced] | None = []
        while rest and rest[-1].start < end:
            start, until, text = rest[-1]
            if start < begin or until > end:
                own = None
            elif own is not None:
                own.append(Replaced(start - begin, until - begin, text))
            if until > end:
                break  # it goes on in the next string
            rest.pop()
        if own != []:
            apart.append((place, own))
        begin = end + between
    return apart
