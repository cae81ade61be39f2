"""Which attempts are under way: what a new journal file takes along, and what a crash leaves."""

from __future__ import annotations

from collections.abc import Iterator

from headgate_core.records import AttemptLine, BeginLine, CallLine, JournalLine, WithdrawnLine


class OpenAttempts:
    """Lines of attempts whose call has no line yet; as many as there are calls in flight.

    An attempt is under its call while that call's line is to come, else under its own id.
    """

    def __init__(self) -> None:
        self._begun: dict[str, dict[str, list[BeginLine | AttemptLine]]] = {}

    def __len__(self) -> int:
        return len(self._begun)

    def follow(self, line: JournalLine) -> None:
        """Take the next line of the journal into account."""
        if line["t"] == "begin":
            self._begin(line)
        elif line["t"] == "attempt":
            self._settle(line)
        elif line["t"] == "call":
            self._call(line)
        elif line["t"] == "withdrawn":
            self._withdraw(line)

    def groups(self) -> Iterator[list[list[BeginLine | AttemptLine]]]:
        """For each open call (or lone attempt) its attempts: begin line, settled line if any."""
        for attempts in self._begun.values():
            yield list(attempts.values())

    def lines(self) -> Iterator[BeginLine | AttemptLine]:
        """All lines that a reader must know to settle what is open."""
        for group in self.groups():
            for lines in group:
                yield from lines

    def _begin(self, line: BeginLine) -> None:
        attempt_id = line["attempt"]["attempt_id"]
        key = line["call"]["call_id"] if line["call"] else attempt_id
        self._begun.setdefault(key, {})[attempt_id] = [line]

    def _settle(self, line: AttemptLine) -> None:
        attempt_id = line["attempt"]["attempt_id"]
        self._begun.pop(attempt_id, None)
        lines = self._begun.get(line["attempt"]["call_id"], {}).get(attempt_id)
        if lines is not None:
            lines[1:] = [line]

    def _withdraw(self, line: WithdrawnLine) -> None:
        for key in (line["call_id"], line["attempt_id"]):
            group = self._begun.get(key, {})
            group.pop(line["attempt_id"], None)
            if not group:
                self._begun.pop(key, None)

    def _call(self, line: CallLine) -> None:
        settled = {attempt["attempt_id"] for attempt in line["call"]["attempts"]}
        for attempt_id, lines in self._begun.pop(line["call"]["call_id"], {}).items():
            begin = lines[0]
            if attempt_id not in settled and len(lines) == 1 and begin["t"] == "begin":
                # Its call is complete: from now on it stands alone.
                self._begin({**begin, "call": None})
