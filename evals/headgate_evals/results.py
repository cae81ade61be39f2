"""What a run leaves behind: a result per case and repeat, gates, metrics, and the run itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from headgate_core.types import Score
from headgate_evals.suite import GateSettings

Outcome: TypeAlias = Literal["passed", "failed", "error", "unscored", "not_run"]
"""``error``: the call or an assertion could not be judged; ``unscored``: nothing was asserted."""

Stopped: TypeAlias = Literal["", "interrupted", "budget", "deadline"]
"""Why a run ended before its last case; empty when it did not."""


@dataclass(frozen=True, slots=True)
class AssertResult:
    """One assertion decided: ``error`` where there was nothing to decide from."""

    type: str
    outcome: Literal["passed", "failed", "error"]
    reason: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, one repeat (counted from 1). Time in seconds, money in pico-dollars."""

    case_id: str
    repeat: int
    outcome: Outcome
    tags: Sequence[str] = ()
    asserted: bool = True
    reason: str = ""
    """Why it is not ``passed``."""
    call_id: str = ""
    answer: str = ""
    asserts: Sequence[AssertResult] = ()
    scores: Sequence[Score] = ()
    total_s: float = 0.0
    cost_pico: int = 0
    unpriced: bool = False

    @property
    def finished(self) -> bool:
        """Whether the call came to its end and could be judged."""
        return self.outcome not in ("error", "not_run")


@dataclass(frozen=True, slots=True)
class Summary:
    """One metric over a set of cases: always with how many of them were scored."""

    metric: str
    values: Sequence[float]
    of: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    """How many were left unscored, by reason."""

    @property
    def scored(self) -> int:
        """How many have a value."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate judged. ``value`` is None when nothing was scored."""

    gate: GateSettings
    value: float | None
    scored: int
    of: int
    missed: bool
    """The value is outside the bounds."""
    incomplete: bool
    """Too little was scored to judge."""
    reason: str = ""
    default: bool = False
    """The suite states no gate on the pass rate: every finished case must pass."""

    @property
    def outcome(self) -> Literal["passed", "failed", "incomplete", "skipped"]:
        """``skipped``: none of the chosen cases belongs to the gate's slice."""
        if self.of == 0:
            return "skipped"
        if self.incomplete:
            return "incomplete"
        return "failed" if self.missed else "passed"


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run, as reports show it."""

    run_id: str
    suite: str
    route: str
    started_unix_ns: int
    duration_s: float
    config_hash: str
    data_hash: str
    results: Sequence[CaseResult]
    gates: Sequence[GateResult]
    metrics: Sequence[Summary]
    stopped: Stopped
    incomplete: str
    """Why the run does not count as complete; empty when it does."""
    exit_code: int
    notes: Sequence[str] = ()
    """What a reader must know beside the numbers, e.g. that prices are missing."""

    @property
    def cost_pico(self) -> int:
        """What all calls cost, as far as prices are known."""
        return sum(result.cost_pico for result in self.results)

    def count(self, outcome: Outcome) -> int:
        """How many results have this outcome."""
        return sum(result.outcome == outcome for result in self.results)

    @property
    def verdict(self) -> str:
        """One line: the word, and why."""
        asserted = sum(result.asserted for result in self.results)
        passed = sum(result.asserted and result.outcome == "passed" for result in self.results)
        held = sum(gate.outcome == "passed" for gate in self.gates)
        counts = f"{passed} of {asserted} cases passed, {held} of {len(self.gates)} gates held"
        said = f" (incomplete: {self.incomplete})" if self.incomplete else ""
        return f"{WORDS[self.exit_code]}: {counts}{said}"


WORDS: Mapping[int, str] = {
    0: "PASSED",
    1: "FAILED",
    3: "INCOMPLETE",
    4: "BUDGET EXHAUSTED",
    130: "INTERRUPTED",
}
"""The verdict's first word, by exit code."""
