"""All assertion types of this version, and how one of them is decided."""

from __future__ import annotations

from collections.abc import Mapping

from headgate_core.plugins import unknown
from headgate_evals.asserts import promptfoo
from headgate_evals.asserts.base import AssertSettings, Delivered, Finding, Kind
from headgate_evals.asserts.cites import cites, cites_fault
from headgate_evals.asserts.limits import cost, cost_fault, latency, latency_fault
from headgate_evals.asserts.refusal import is_refusal
from headgate_evals.asserts.text import contains, icontains, regex, regex_fault, text_fault

KINDS: Mapping[str, Kind] = {
    "contains": Kind(contains, ("value",), ("value",), text_fault),
    "icontains": Kind(icontains, ("value",), ("value",), text_fault),
    "regex": Kind(regex, ("value",), ("value",), regex_fault),
    "cites": Kind(cites, ("value", "document", "section"), (), cites_fault),
    "is-refusal": Kind(is_refusal),
    "latency": Kind(latency, ("threshold",), ("threshold",), latency_fault),
    "cost": Kind(cost, ("threshold",), ("threshold",), cost_fault),
}


def type_fault(name: str) -> str:
    """Why ``name`` is not a type that can be used; empty when it is one."""
    base = name.removeprefix("not-")
    if base in KINDS:
        return ""
    if promptfoo.is_known(base):
        return (
            f"assertion type {name!r} is known from promptfoo, but is not in this version. "
            f"Known: {', '.join(KINDS)}; each may carry not- before it."
        )
    return unknown("assertion type", name, list(KINDS)) + " Each may carry not- before it."


def member_fault(expected: AssertSettings) -> str:
    """What is wrong with the members of an assertion of a known type; empty when nothing is."""
    kind = KINDS[expected.base_type]
    members = ("value", "threshold", "document", "section")
    given = [name for name in members if getattr(expected, name) is not None]
    if surplus := [name for name in given if name not in kind.takes]:
        return f"assertion {expected.type!r} takes no `{surplus[0]}`."
    if missing := [name for name in kind.needs if name not in given]:
        return f"assertion {expected.type!r} needs `{missing[0]}`."
    fault = kind.fault(expected)
    return f"assertion {expected.type!r}: {fault}" if fault else ""


def decide(expected: AssertSettings, delivered: Delivered) -> Finding:
    """The finding, turned round by ``not-``. Raises ``CannotTell``, which no ``not-`` changes."""
    finding = KINDS[expected.base_type].check(expected, delivered)
    return finding._replace(passed=finding.passed != expected.negated)
