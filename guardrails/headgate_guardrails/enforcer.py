"""The enforcer: text goes in as it comes, and comes out once every check has cleared it.

What leaves, what is masked and which check blocks are functions of the whole text alone, for every
way of cutting it into pieces: findings are acted on in the order of their positions, and a position
is acted on only when all checks have decided about it and about all that overlaps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, NamedTuple

from headgate_core.ports import Stopped
from headgate_core.types import Action, At, Span, Verdict
from headgate_guardrails.bound import Asking, BoundCheck, CheckError
from headgate_guardrails.masking import mask, merge
from headgate_guardrails.scan import Scan, Text, scan_of

STREAMED: frozenset[At] = frozenset({"output", "tool_calls"})
"""Places whose texts may come in pieces: there all checks run, so that the verdict is the same."""

MANY = 500
"""Findings at once that are acted on in a thread, because the event loop would feel it."""


@dataclass(slots=True)
class _Watch:
    """One check at work on one text."""

    bound: BoundCheck
    asking: Asking
    scan: Scan
    verdict: int | None = None
    """Where in the list of verdicts its entry stands."""
    kinds: list[str] = field(default_factory=list)
    fault: str = ""


class _Finding(NamedTuple):
    watch: _Watch
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
    _text: Text = field(default_factory=Text)
    _tiers: list[list[_Watch]] = field(default_factory=list)
    _pending: list[_Finding] = field(default_factory=list)
    _released: int = 0

    def __post_init__(self) -> None:
        ordered = sorted(self.checks, key=lambda b: (b.cost, b.order))
        self._tiers = [
            [self._watch(bound) for bound in tier]
            for _, tier in groupby(ordered, key=lambda b: b.cost)
        ]

    def _watch(self, bound: BoundCheck) -> _Watch:
        asking = Asking(bound, self.at)
        return _Watch(bound, asking, scan_of(bound.check, asking))

    async def feed(self, text: str) -> str:
        """Take the next piece; returns what is cleared. Raises ``Stopped`` or ``GuardFailed``."""
        self._text.append(text)
        return await self._advance(final=False) if text else ""

    async def flush(self) -> str:
        """The text is complete: returns the rest. Raises ``Stopped`` or ``GuardFailed``."""
        return await self._advance(final=True)

    async def whole(self, text: str) -> str | None:
        """All of a text at once; None if it is to be left out."""
        self._text.append(text)
        cleared = await self._advance(final=True)
        return None if self.dropped else cleared

    async def _advance(self, final: bool) -> str:
        for tier in self._tiers:
            await self._scan(tier, final)
            if final and self._blocked_early():
                break
        decided = [w.scan.decided for w in self._watches()]
        limit = self._text.end if final else min([self._text.end, *decided])
        if len(self._pending) > MANY:
            return await asyncio.to_thread(self._release, limit)
        return self._release(limit)

    def _release(self, limit: int) -> str:
        """What may go out of the text up to ``limit``, masked. Raises ``Stopped``."""
        masks, until = self._settle(limit)
        start, self._released = self._released, until
        cleared = mask(
            self._text.piece(start, until),
            [Span(s.start - start, s.end - start, s.kind) for s in masks],
        )
        self._text.forget(min([until, *(w.scan.needs for w in self._watches())]))
        return cleared

    def _watches(self) -> Iterator[_Watch]:
        return (watch for tier in self._tiers for watch in tier)

    async def _scan(self, tier: list[_Watch], final: bool) -> None:
        """Let the checks of one tier look at the text; slow ones all at the same time."""
        if len(tier) == 1 or tier[0].bound.cost == 0:
            results = [await self._step(watch, final) for watch in tier]
        else:
            results = await asyncio.gather(*(self._step(watch, final) for watch in tier))
        for watch, spans in zip(tier, results, strict=True):
            self._pending += [_Finding(watch, span) for span in spans]
        for watch in [w for w in tier if w.fault]:
            tier.remove(watch)
            self._give_up(watch)

    async def _step(self, watch: _Watch, final: bool) -> list[Span]:
        """New findings; those of the frames before a failure count like those of earlier pieces."""
        watch.asking.begin()
        found: list[Span] = []
        try:
            async for spans in watch.scan.step(self._text, final):
                found += spans
        except CheckError as error:
            watch.fault = str(error)
        return found

    def _give_up(self, watch: _Watch) -> None:
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
        acted: dict[int, _Watch] = {}
        until = limit
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
        return masks, until

    def _act(self, watch: _Watch) -> None:
        bound = watch.bound
        if not bound.enforced:
            return
        if bound.action == "block":
            raise Stopped(bound.policy, bound.name, bound.refusal_text, bound.refusal_as_error)
        if bound.action == "drop":
            self.dropped = True

    def _record(self, watch: _Watch) -> None:
        """One entry a check: it is added with the first finding and completed with the next."""
        entry = self._verdict(watch, watch.bound.action, tuple(watch.kinds))
        if watch.verdict is None:
            watch.verdict = len(self.verdicts)
            self.verdicts.append(entry)
        else:
            self.verdicts[watch.verdict] = entry

    def _verdict(
        self, watch: _Watch, action: Action | Literal["pass", "error"], kinds: tuple[str, ...]
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
            ms=watch.asking.ms,
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
