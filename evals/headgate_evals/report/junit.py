"""JUnit XML: what CI servers read. A failed assertion is a failure, a broken call an error."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from headgate_evals.report.wording import bounds, case_name, coverage, gate_name, number
from headgate_evals.results import CaseResult, GateResult, Run

BODY_LENGTH = 4000
"""The most characters of a body; longer ones are cut, and say so."""
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KINDS = {"failed": "failure", "error": "error", "unscored": "skipped", "not_run": "skipped"}
_GATE_KINDS = {"failed": "failure", "incomplete": "error", "skipped": "skipped"}


def junit(run: Run) -> str:
    """Two suites: the cases, and the gates that decide about the exit code."""
    cases = ET.Element("testsuite", name=_clean(run.suite), time=f"{run.duration_s:.3f}")
    repeats = any(result.repeat > 1 for result in run.results)
    for result in run.results:
        _case(cases, run, result, repeats)
    gates = ET.Element("testsuite", name=_clean(f"{run.suite} gates"), time="0.000")
    for gate in run.gates:
        _gate(gates, run, gate)
    root = ET.Element("testsuites", name="headgate eval", time=f"{run.duration_s:.3f}")
    root.extend([cases, gates])
    for suite in (cases, gates):
        _count(suite, suite)
    _count(root, root)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, run: Run, result: CaseResult, repeats: bool) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=_clean(f"{run.suite}.{run.route}"),
        name=_clean(case_name(result, repeats)),
        time=f"{result.total_s:.3f}",
    )
    if result.outcome in _KINDS:
        types = [a.type for a in result.asserts if a.outcome == result.outcome]
        answer = f"\nanswer: {result.answer}" if result.answer else ""
        body = f"{result.reason}\ncall: {result.call_id or 'none'}{answer}"
        _end(case, _KINDS[result.outcome], result.reason, types[0] if types else "call", body)


def _gate(suite: ET.Element, run: Run, gate: GateResult) -> None:
    name = f"{gate_name(gate)} {bounds(gate)}"
    case = ET.SubElement(
        suite, "testcase", classname=_clean(f"{run.suite}.gates"), name=_clean(name), time="0.000"
    )
    if gate.outcome in _GATE_KINDS:
        scored = coverage(gate.scored, gate.of)
        message = f"{gate_name(gate)} is {number(gate.value)}, bound {bounds(gate)}, "
        message += f"scored {scored}" + (f" ({gate.reason})" if gate.reason else "")
        _end(case, _GATE_KINDS[gate.outcome], message, "gate", message)


def _end(case: ET.Element, kind: str, message: str, type_: str, body: str) -> None:
    end = ET.SubElement(case, kind, message=_clean(message.partition("\n")[0]))
    if kind != "skipped":
        end.set("type", _clean(type_))
    cut = len(body) > BODY_LENGTH
    end.text = _clean(body[:BODY_LENGTH] + ("\n(cut)" if cut else ""))


def _count(element: ET.Element, within: ET.Element) -> None:
    element.set("tests", str(sum(1 for _ in within.iter("testcase"))))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(name, str(sum(1 for _ in within.iter(tag))))


def _clean(text: str) -> str:
    """Without terminal colours and characters that XML 1.0 does not allow."""
    return _ILLEGAL.sub("\ufffd", _ANSI.sub("", text))
