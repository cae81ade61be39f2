"""Tool calls that wait for the one before them, so that a guarded stream keeps their order."""

from __future__ import annotations

from headgate_core.types import Json
from headgate_gateway.replies.texts import number, part, tool_number


class LaterCalls:
    """The calls of a streamed choice after its first, whole, until the choice is finished.

    A check holds back the end of a call's arguments until it knows that no more will come. Clients
    take a call to be over when the next one begins, so the next one must not overtake that end.
    """

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._waiting: dict[int, dict[int, Json]] = {}

    @property
    def choices(self) -> list[int]:
        """The choices whose calls wait."""
        return list(self._waiting)

    def all_wait(self, choice: int) -> None:
        """The first call of the choice waits as well, unless it has begun."""
        self._first.setdefault(choice, -1)

    def set_aside(self, body: Json) -> bool:
        """Take out of a chunk what belongs to later calls; returns whether there was any."""
        found = False
        for choice in body.get("choices") or ():
            calls = part(choice).get("tool_calls")
            if "message" in choice or not calls:
                continue
            numbered = [(tool_number(call, n), call) for n, call in enumerate(calls)]
            first = self._first.setdefault(number(choice), numbered[0][0])
            for at, call in numbered:
                if at != first:
                    self._keep(number(choice), at, call)
                    found = True
            part(choice)["tool_calls"] = [call for at, call in numbered if at == first]
            if not part(choice)["tool_calls"]:
                del part(choice)["tool_calls"]
        return found

    def taken(self, choice: int) -> list[Json]:
        """The calls of a choice that wait, which wait no more."""
        return list(self._waiting.pop(choice, {}).values())

    def _keep(self, choice: int, at: int, call: Json) -> None:
        known = self._waiting.setdefault(choice, {}).setdefault(at, {"index": at})
        for name, value in call.items():
            if isinstance(value, dict):
                _join(known.setdefault(name, {}), value)
            elif name != "index" and value is not None:
                known[name] = value


def _join(known: Json, more: Json) -> None:
    for member, text in more.items():
        if member in ("arguments", "input") and isinstance(known.get(member), str):
            known[member] += text or ""
        elif text is not None:
            known[member] = text
