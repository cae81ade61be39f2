from __future__ import annotations

from pathlib import Path

import pytest

from headgate_core.errors import ConfigurationError
from headgate_evals.asserts.registry import KINDS
from headgate_evals.cases import Suite, find_suite, load_suite

GOOD = """\
name: answers
description: Do people get sourced answers?
owner: docs
run: {route: docs}
matrix: {}
baseline: none
passages: live
data: [more.jsonl]
cases:
  - id: first
    input: How are retries decided?
    inputs: {tone: formal, words: 1.5}
    reference: By the pool.
    tags: [retries]
    assert:
      - {type: icontains, value: POOL}
  - id: nobody-knows
    input: Who is your chief executive?
    tags: [unanswerable]
    assert: [{type: is-refusal}]
assert:
  - {type: cites}
  - {type: latency, threshold: 20000}
metrics: [latency, cost, lexical_grounding]
gates:
  - {metric: pass_rate, min: 0.95}
  - {metric: pass_rate, slice: unanswerable, min: 0.90}
  - {metric: latency.total_s, stat: p95, max: 8}
coverage: 0.98
when_incomplete: fail
repeats: 2
concurrency: 16
budget: {usd: 2.00, minutes: 20}
seed: 7
"""
ROWS = """\
{"id": "second", "input": "What is a pool?", "tags": ["pools"]}

{"id": "third", "messages": [{"role": "user", "content": "And then?"}], "smoke": true}
"""


def write(folder: Path, suite: str, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    path = folder / "suite.yaml"
    path.write_text(suite)
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_suite(path)
    assert caught.value.exit_code == 2
    return [f"{p.file.name}:{p.line}: {p.message}" for p in caught.value.problems]


def smallest(*lines: str) -> str:
    head = "name: s\nrun: {route: docs}\ncases:\n  - {id: a, input: Why, assert: [{type: cites}]}\n"
    return head + "".join(f"{line}\n" for line in lines)


def test_every_member_of_the_grammar_is_read(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD, more__jsonl=ROWS))
    assert [case.id for case in suite.cases] == ["first", "nobody-knows", "second", "third"]
    first = suite.cases[0]
    assert first.messages == [{"role": "user", "content": "How are retries decided?"}]
    assert (first.inputs, first.reference) == ({"tone": "formal", "words": 1.5}, "By the pool.")
    assert [a.type for a in first.asserts] == ["cites", "latency", "icontains"]
    assert str(suite.settings.budget.usd) == "2.00"


def test_an_answer_that_must_decline_is_not_asked_to_cite(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD, more__jsonl=ROWS))
    assert [a.type for a in suite.cases[1].asserts] == ["latency", "is-refusal"]


def test_all_faults_of_all_files_come_at_once_with_their_lines(tmp_path: Path) -> None:
    suite = smallest("  - {id: b, inptu: Why}", "gatse: []", "coverage: 2", "data: [rows.jsonl]")
    rows = '{"id": "c", "input": "Why"}\n{"id": "d", "input": "Why", "tag": []}\nnot json\n'
    found = faults(write(tmp_path, suite, rows__jsonl=rows))
    assert [fault.partition(": ")[0] for fault in found] == [
        "rows.jsonl:2",
        "rows.jsonl:3",
        "suite.yaml:5",
        "suite.yaml:5",
        "suite.yaml:6",
        "suite.yaml:7",
    ]
    assert "Did you mean 'tags'?" in found[0]
    assert "Did you mean 'input'?" in "".join(found[2:4])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("matrix: {pool: [a, b]}", "matrix"),
        ("baseline: production", "baseline"),
        ("baseline: file:old.json", "baseline"),
        ("baseline_max_age_days: 3", "baseline_max_age_days"),
        ("passages: pinned", "passages"),
        ("when_inconclusive: pass", "when_inconclusive"),
        ("flaky: []", "flaky"),
        ("gates: [{metric: pass_rate, min: 1, max_loss: 0.02}]", "max_loss"),
    ],
)
def test_what_this_version_does_not_do_is_refused_by_name(
    tmp_path: Path, line: str, what: str
) -> None:
    [fault] = faults(write(tmp_path, smallest(line)))
    assert fault.startswith("suite.yaml:5")
    assert what in fault
    assert "belongs to the" in fault
    assert "this version does not do it yet" in fault


def test_case_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    rows = '{"id": "b", "input": "Why"}\n{"id": "a", "input": "Why"}\n'
    path = write(
        tmp_path, smallest("data: [rows.jsonl]", "assert: [{type: cites}]"), rows__jsonl=rows
    )
    [fault] = faults(path)
    assert fault.startswith("rows.jsonl:2: the case id 'a' is already used at ")
    assert fault.endswith("suite.yaml:4.")


def test_a_case_that_nothing_can_fail_is_refused_unless_it_is_a_smoke_test(tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path, smallest("  - {id: b, input: Why}")))
    assert fault.startswith("suite.yaml:5: case 'b' has no assertion")
    assert "smoke: true" in fault
    for line in ("  - {id: b, input: Why, smoke: true}", "assert: [{type: cites}]"):
        assert load_suite(write(tmp_path, smallest(line))).cases
    gated = smallest("  - {id: b, input: Why}", "gates: [{metric: cost.usd, max: 1}]")
    assert not load_suite(write(tmp_path, gated)).cases[1].asserted


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (
            "{type: contians, value: x}",
            "unknown assertion type 'contians'. Did you mean 'contains'?",
        ),
        ("{type: llm-rubric, value: x}", "'llm-rubric' is known from promptfoo, but is not in"),
        ("{type: not-similar, value: x}", "'not-similar' is known from promptfoo"),
        ("{type: contains}", "assertion 'contains' needs `value`"),
        ("{type: latency, value: 3}", "assertion 'latency' takes no `value`"),
        ("{type: latency, threshold: 0}", "`threshold` must be more than 0"),
        ("{type: cost, threshold: -1}", "must not be below 0 dollars"),
        ("{type: regex, value: '('}", "not a regular expression"),
        ("{type: cites, value: one}", "must be a passage number or a list"),
        ("{type: cites, value: [0]}", "must be a passage number or a list"),
        ("{type: is-refusal, section: x}", "takes no `section`"),
        ("{type: contains, value: x, weight: 0}", "`weight` belongs to the"),
        ("{type: contains, value: true}", "in quotes"),
    ],
)
def test_a_wrong_assertion_says_what_is_wrong(tmp_path: Path, one: str, message: str) -> None:
    [fault] = faults(write(tmp_path, smallest(f"assert: [{one}]")))
    assert fault.startswith("suite.yaml:5")
    assert message in fault


def test_the_error_of_an_unknown_type_lists_all_known_ones(tmp_path: Path) -> None:
    [fault] = faults(write(tmp_path, smallest("assert: [{type: zzz}]")))
    assert all(kind in fault for kind in KINDS)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("{metric: pass_rate}", "needs `min` or `max`"),
        ("{metric: latency.totl, max: 1, stat: p99}", "p95"),
        ("{metric: groundedness, min: 1}", "unknown metric in a gate 'groundedness'"),
        ("{metric: pass_rate, min: 1, slice: nope}", "unknown tag 'nope'"),
        ("{metric: pass_rate, min: 1, stat: p95}", "pass_rate is a share"),
    ],
)
def test_a_wrong_gate_says_what_is_wrong(tmp_path: Path, gate: str, message: str) -> None:
    [fault] = faults(write(tmp_path, smallest(f"gates: [{gate}]")))
    assert fault.startswith("suite.yaml:5")
    assert message in fault


def test_cases_are_read_from_csv(tmp_path: Path) -> None:
    rows = (
        "id,input,reference,tags,inputs.tone,assert,smoke\n"
        'x,"How, then?",By the pool.,"a, b",formal,"[{""type"": ""contains"", ""value"": 0.10}]",\n'
        "y,Why,,,,,true\n"
    )
    suite = load_suite(write(tmp_path, smallest("data: [rows.csv]"), rows__csv=rows))
    x, y = suite.cases[1:]
    assert (x.messages[0]["content"], x.tags, x.inputs) == (
        "How, then?",
        ("a", "b"),
        {"tone": "formal"},
    )
    assert [str(a.value) for a in x.asserts] == ["0.10"]
    assert (y.reference, y.smoke) == (None, True)


def test_cases_are_read_from_a_yaml_list_with_their_lines(tmp_path: Path) -> None:
    good = "- {id: x, input: Why, smoke: true}\n"
    suite = load_suite(write(tmp_path, smallest("data: [rows.yaml]"), rows__yaml=good))
    assert suite.cases[1].id == "x"
    bad = good + "- {id: z, input: Why, smoek: true}\n"
    [fault] = faults(write(tmp_path, smallest("data: [rows.yaml]"), rows__yaml=bad))
    assert fault.startswith("rows.yaml:2")


@pytest.mark.parametrize("name", ["gone.jsonl", "rows.parquet"])
def test_a_data_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    [fault] = faults(write(tmp_path, smallest(f"data: [{name}]")))
    assert fault.startswith("suite.yaml:5")
    assert name in fault


def test_a_suite_without_cases_is_refused(tmp_path: Path) -> None:
    assert "cases" in faults(write(tmp_path, "name: s\nrun: {route: docs}\n"))[0]
    path = write(tmp_path, "name: s\nrun: {route: docs}\ndata: [rows.jsonl]\n", rows__jsonl="\n")
    assert faults(path) == ["suite.yaml:1: the suite has no case."]


def names(suite: Suite) -> list[str]:
    return [case.id for case in suite.cases]


def test_a_sample_is_drawn_by_the_seed_and_keeps_the_order(tmp_path: Path) -> None:
    rows = "".join(f'{{"id": "{n:02}", "input": "Why", "smoke": true}}\n' for n in range(30))
    head = "name: s\nrun: {route: docs}\ndata: [rows.jsonl]\n"
    suite = load_suite(write(tmp_path, f"{head}seed: 1\n", rows__jsonl=rows))
    drawn = suite.chosen(None, 5, None)
    assert names(drawn) == names(suite.chosen(None, 5, None)) == sorted(names(drawn))
    other = load_suite(write(tmp_path, f"{head}seed: 2\n"))
    assert names(other.chosen(None, 5, None)) != names(drawn)
    assert names(suite.chosen(2, None, None)) == ["00", "01"]
    assert suite.chosen(None, None, 3).settings.repeats == 3


def test_the_data_hash_changes_with_a_case_and_not_with_a_gate(tmp_path: Path) -> None:
    one = load_suite(write(tmp_path, smallest())).data_hash
    assert load_suite(write(tmp_path, smallest("concurrency: 1"))).data_hash == one
    assert load_suite(write(tmp_path, smallest().replace("Why", "How"))).data_hash != one


def test_a_suite_is_named_or_a_path(tmp_path: Path) -> None:
    (tmp_path / "evals").mkdir()
    path = write(tmp_path / "evals", smallest())
    config = tmp_path / "gateway.yaml"
    assert find_suite("suite", config) == path
    assert find_suite(str(path), config) == path
    with pytest.raises(ConfigurationError, match="Did you mean 'suite'"):
        find_suite("siute", config)
    with pytest.raises(ConfigurationError, match=r"no suite file gone\.yaml"):
        find_suite("gone.yaml", config)
