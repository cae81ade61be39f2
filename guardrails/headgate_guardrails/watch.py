"""One check at work on one text, in every reading of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from headgate_core.types import At, Span
from headgate_guardrails.bound import Asking, BoundCheck, CheckError
from headgate_guardrails.readings import Readings
from headgate_guardrails.scan import Scan, scan_of


@dataclass(slots=True)
class Lane:
    """A check at work on one reading; its time counts for this reading alone."""

    asking: Asking
    scan: Scan


@dataclass(slots=True)
class Watch:
    """One check at work on one text."""

    bound: BoundCheck
    at: At
    lanes: list[Lane]
    """One for each reading of the text."""
    verdict: int | None = None
    """Where in the list of verdicts its entry stands."""
    kinds: list[str] = field(default_factory=list)
    fault: str = ""

    @classmethod
    def of(cls, bound: BoundCheck, at: At) -> Watch:
        """A check before the first piece of a text that is checked at ``at``."""
        asking = Asking(bound, at)
        return cls(bound, at, [Lane(asking, scan_of(bound.check, asking))])

    @property
    def ms(self) -> float:
        """Milliseconds spent in the check, over the whole text."""
        return sum(lane.asking.ms for lane in self.lanes)

    def read_as(self, readings: int) -> None:
        """There are so many readings; a new one has been as the one before it up to now."""
        while len(self.lanes) < readings:
            asking = Asking(self.bound, self.at)
            self.lanes.append(Lane(asking, self.lanes[-1].scan.forked(asking)))

    async def step(self, readings: Readings, final: bool) -> list[Span]:
        """New findings, where they are written.

        Those of the frames before a failure count like those of earlier pieces.
        """
        found: list[Span] = []
        try:
            for level, lane in enumerate(self.lanes):
                lane.asking.begin()
                async for spans in lane.scan.step(readings.texts[level], final):
                    found += [readings.span(level, span) for span in spans] if level else spans
        except CheckError as error:
            self.fault = str(error)
        return found
