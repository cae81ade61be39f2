"""The enforcer: text goes in as it comes, and comes out once every check has cleared it.

What leaves, what is masked and which check blocks are functions of the whole text alone, for every
way of cutting it into pieces: findings are acted on in the order of their positions, and a position
is acted on only when all checks have decided about it and about all that overlaps it.

A text with backslashes is read twice, as it is written and as it is meant (see ``readings``); what
is found in either counts, and stands where it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple

from headgate_core.ports import Stopped
from headgate_core.types import Action, At, Replaced, Span, Told, Verdict
from headgate_guardrails.bound import FRAME, BoundCheck
from headgate_guardrails.masking import mask, merge
from headgate_guardrails.readings import MOST_READINGS, Readings
from headgate_guardrails.structure import Structure
from headgate_guardrails.watch import Watch

STREAMED: frozenset[At] = frozenset({"output", "tool_calls"})
"""Places whose texts may come in pieces: there all checks run, so that the verdict is the same."""

MANY = 500
"""Findings at once that are acted on in a thread, because the event loop would feel it."""


class _Finding(NamedTuple):
    watch: Watch
    span: Span


@dataclass(slots=True)
class Enforcer:
    """The state of one guarded text: the port's ``Guarded``."""

    at: At
    subject: str
    verdicts: list[Verdict]
    checks: Sequence[BoundCheck]
    dropped: bool = False
    """A check wants this text left out."""
    _readings: Readings = field(default_factory=Readings)
    _structure: Structure = field(default_factory=Structure)
    _tiers: list[list[Watch]] = field(default_factory=list)
    _pending: list[_Finding] = field(default_factory=list)
    _released: int = 0
    _replaced: Told = None

    def __post_init__(self) -> None:
        ordered = sorted(self.checks, key=lambda b: (b.cost, b.order))
        self._tiers = [
            [Watch.of(bound, self.at) for bound in tier]
            for _, tier in groupby(ordered, key=lambda b: b.cost)
        ]

    async def feed(self, text: str) -> str:
        """Take the next piece; returns what is cleared. Raises ``Stopped`` or ``GuardFailed``."""
        if not text:
            return ""
        if len(text) > FRAME:
            await self._append(text, final=False)
        else:
            self._take(text, final=False)
        return await self._advance(final=False)

    async def flush(self) -> str:
        """The text is complete: returns the rest. Raises ``Stopped`` or ``GuardFailed``."""
        await self._append("", final=True)
        return await self._advance(final=True)

    async def whole(self, text: str, replaced: Told = None) -> str | None:
        """All of a text at once; None if it is to be left out. Adds to ``replaced`` what is."""
        self._replaced = replaced
        await self._append(text, final=True)
        cleared = await self._advance(final=True)
        return None if self.dropped else cleared

    async def _append(self, text: str, final: bool) -> None:
        """Take a piece into all readings; long ones let others on the event loop go on."""
        for begin in range(FRAME, len(text), FRAME):
            self._take(text[begin - FRAME : begin], final=False)
            await asyncio.sleep(0)
        self._take(text[max(0, len(text) - 1) // FRAME * FRAME :], final)

    def _take(self, piece: str, final: bool) -> None:
        self._structure.append(piece)
        self._readings.append(piece, final)
        if len(self._readings.texts) > 1:
            for watch in self._watches():
                watch.read_as(len(self._readings.texts))

    async def _advance(self, final: bool) -> str:
        for tier in self._tiers:
            await self._scan(tier, final)
            if final and self._blocked_early():
                break
        limit = self._readings.texts[0].end if final else self._decided()
        if len(self._pending) > MANY:
            return await asyncio.to_thread(self._release, limit)
        return self._release(limit)

    def _decided(self) -> int:
        """How far every check has decided about every reading."""
        texts, written = self._readings.texts, self._readings.written
        if len(texts) == 1:
            decided = [watch.lanes[0].scan.decided for watch in self._watches()]
            return self._border(min([texts[0].end, *decided]))
        limits = [written(level, text.end) for level, text in enumerate(texts)]
        for watch in self._watches():
            limits += [written(level, lane.scan.decided) for level, lane in enumerate(watch.lanes)]
        return self._border(min(limits))

    def _border(self, position: int) -> int:
        """The last position up to there that lies within no escape, and in JSON in no number."""
        position = self._readings.border(position, up=False)
        return self._structure.bare_before(self._readings.texts[0], position, self._released)

    def _release(self, limit: int) -> str:
        """What may go out of the text up to ``limit``, masked. Raises ``Stopped``."""
        masks, until = self._settle(limit)
        start, self._released = self._released, until
        text = self._readings.texts[0]
        cleared = mask(text.piece(start, until), masks, start, self._stand_in)
        needs = [
            min([own.end, *[w.lanes[level].scan.needs for w in self._watches()]])
            for level, own in enumerate(self._readings.texts)
        ]
        self._readings.forget(until, needs)
        self._structure.forget(until)
        return cleared

    def _stand_in(self, span: Span, covered: str) -> str:
        said = self._structure.stand_in(span, covered)
        if self._replaced is not None:
            self._replaced.append(Replaced(span.start, span.end, said))
        return said

    def _watches(self) -> Iterator[Watch]:
        return (watch for tier in self._tiers for watch in tier)

    async def _scan(self, tier: list[Watch], final: bool) -> None:
        """Let the checks of one tier look at the text; slow ones all at the same time."""
        if len(tier) == 1 or tier[0].bound.cost == 0:
            results = [await watch.step(self._readings, final) for watch in tier]
        else:
            results = await asyncio.gather(*(watch.step(self._readings, final) for watch in tier))
        for watch, spans in zip(tier, results, strict=True):
            self._pending += [_Finding(watch, span) for span in spans]
        for watch in [w for w in tier if w.fault]:
            tier.remove(watch)
            self._give_up(watch)

    def _give_up(self, watch: Watch) -> None:
        """A check that failed looks no further at this text; its policy says what that means."""
        bound = watch.bound
        action: Literal["pass", "error"] = "pass" if bound.on_error == "pass" else "error"
        self.verdicts.append(self._verdict(watch, action, ()))
        if bound.on_error == "block" and bound.enforced:
            raise bound.failed(watch.fault)

    def _blocked_early(self) -> bool:
        return self.at not in STREAMED and any(
            f.watch.bound.enforced and f.watch.bound.action == "block" for f in self._pending
        )

    def _settle(self, limit: int) -> tuple[list[Span], int]:
        """Act on the findings up to ``limit``: the spans to mask, and how far text may go out."""
        masks: list[Span] = []
        waiting: list[_Finding] = []
        acted: dict[int, Watch] = {}
        until = limit
        self._pending = [self._aligned(f) if f.span.end <= limit else f for f in self._pending]
        try:
            for cluster in _clusters(self._pending):
                if max(f.span.end for f in cluster) > limit:
                    waiting += cluster
                    until = min(until, cluster[0].span.start)
                    continue
                for watch, span in _per_check(cluster):
                    acted[watch.bound.order] = watch
                    watch.kinds.append(span.kind)
                    self._act(watch)
                    if watch.bound.enforced and watch.bound.action == "mask":
                        masks.append(span)
        finally:
            for watch in acted.values():
                self._record(watch)
        self._pending = waiting
        return masks, until if until == limit else self._border(until)

    def _aligned(self, finding: _Finding) -> _Finding:
        """In JSON, with each escape and each number that it touches taken or left as a whole.

        What would be an escape within an escape is one only in a string that is JSON itself.
        """
        span = finding.span
        if not self._structure.holds(span.start, span.end):
            return finding
        levels = MOST_READINGS if self._structure.nested(span.start) else 1
        start = self._readings.border(span.start, up=True, levels=levels)
        end = self._readings.border(span.end, up=True, levels=levels)
        if start >= end:
            start = self._readings.border(span.start, up=False, levels=levels)
        text, least = self._readings.texts[0], self._released
        start, end = self._structure.widened(text, max(start, least), end, least)
        return finding._replace(span=Span(start, end, span.kind, span.score))

    def _act(self, watch: Watch) -> None:
        bound = watch.bound
        if not bound.enforced:
            return
        if bound.action == "block":
            raise Stopped(bound.policy, bound.name, bound.refusal_text, bound.refusal_as_error)
        if bound.action == "drop":
            self.dropped = True

    def _record(self, watch: Watch) -> None:
        """One entry a check: it is added with the first finding and completed with the next."""
        entry = self._verdict(watch, watch.bound.action, tuple(watch.kinds))
        if watch.verdict is None:
            watch.verdict = len(self.verdicts)
            self.verdicts.append(entry)
        else:
            self.verdicts[watch.verdict] = entry

    def _verdict(
        self, watch: Watch, action: Action | Literal["pass", "error"], kinds: tuple[str, ...]
    ) -> Verdict:
        bound = watch.bound
        return Verdict(
            policy=bound.policy,
            check=bound.name,
            at=self.at,
            action=action,
            mode=bound.mode,
            kinds=kinds,
            subject=self.subject,
            ms=watch.ms,
            error=watch.fault,
        )


def _clusters(findings: list[_Finding]) -> Iterator[list[_Finding]]:
    """Findings that overlap, directly or through others, by start."""
    cluster: list[_Finding] = []
    end = 0
    for finding in sorted(findings, key=lambda f: (f.span.start, f.span.end)):
        if cluster and finding.span.start >= end:
            yield cluster
            cluster = []
        cluster.append(finding)
        end = max(end, finding.span.end) if len(cluster) > 1 else finding.span.end
    if cluster:
        yield cluster


def _per_check(cluster: list[_Finding]) -> list[_Finding]:
    """The cluster with each check's own overlaps put together, by start and policy order."""
    by_check: dict[int, list[_Finding]] = {}
    for finding in cluster:
        by_check.setdefault(finding.watch.bound.order, []).append(finding)
    merged = [
        _Finding(findings[0].watch, span)
        for findings in by_check.values()
        for span in merge(f.span for f in findings)
    ]
    return sorted(merged, key=lambda f: (f.span.start, f.watch.bound.order))
