"""``headgate traces``: calls on the terminal and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from ledger_records import (
    STARTED,
    attempt,
    begin_line,
    call,
    head_of,
    score,
    scores_line,
    usage,
)
from typer.testing import CliRunner

from headgate_core.errors import HeadgateError, InvalidRequest, NotFound
from headgate_core.records import CallRecord, JournalLine
from headgate_core.store import Store
from headgate_core.store.calls import write_batch
from headgate_gateway.commands import traces
from headgate_gateway.ledger.interrupted import settle

CONFIG = """
store: {url: "sqlite:///headgate.db"}
providers: [{name: here, use: echo}]
pools: [{name: small, targets: [{provider: here, model: echo}]}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG)
    return path


def store_lines(config: Path, *lines: JournalLine) -> None:
    store = Store.open(f"sqlite:///{config.parent / 'headgate.db'}")
    with store.begin() as db:
        write_batch(db, lines)
    store.close()


def run(*arguments: str) -> str:
    """Standard output of a command line; what it raised is raised."""
    app = typer.Typer()
    traces.register(app)
    result = CliRunner().invoke(app, ["traces", *arguments], catch_exceptions=False)
    if result.exception is not None:
        raise result.exception
    return result.stdout


def eventful() -> CallRecord:
    record = call(
        call_id="018f0000-0000-7000-8000-000000000001",
        outcome="ok",
        cost_pico=72_000_001,
        usage=usage(100, 20, cached_input_tokens=40, estimated=True),
        degraded=["retrieve: index slow"],
        verdicts=[
            {
                "policy": "default",
                "check": "pii",
                "at": "output",
                "action": "mask",
                "mode": "enforce",
                "kinds": ["email", "iban"],
                "subject": "choice 0",
                "ms": 0.25,
                "error": "",
            }
        ],
        citations=[
            {
                "number": 1,
                "passage_id": "p1",
                "document": "guide.md",
                "title": "Guide",
                "heading": ["Setup", "Keys"],
                "start": 10,
                "end": 99,
                "url": "https://docs.example.com/guide#keys",
                "at": [5, 8],
            }
        ],
    )
    record["attempts"] = [
        attempt(
            record["call_id"],
            outcome="error",
            provider="gpu",
            model="qwen",
            error="upstream_unreachable: refused",
            usage=None,
            cost_pico=0,
            price="",
        ),
        attempt(record["call_id"], n=2, why="fallback", start_ms=3.0),
        attempt(record["call_id"], n=3, purpose="judge", cost_pico=None, start_ms=30.0),
    ]
    return record


def test_a_call_is_shown_with_all_that_happened_in_it(config: Path) -> None:
    record = eventful()
    scores = scores_line(
        record["call_id"], 1, score("lexical_grounding", 0.8125), score("x", None, "no_context")
    )
    store_lines(config, {"t": "call", "call": record}, scores)
    shown = run("show", "018f0000", "--config", str(config))
    for part in (
        record["call_id"],
        "docs (asked for: docs)",
        "answer@1",
        "100 in (40 cached) + 20 out, estimated",
        "0.000072000001 USD",
        "1 gpu/qwen: serve, first, error, 0 USD",
        "upstream_unreachable: refused",
        "2 openai/gpt-4.1-mini: serve, fallback, ok, 100 in + 20 out, 0.000072 USD",
        "judge, first, ok, 100 in + 20 out, unpriced\n",
        "bundled gpt-4.1-mini: in 0.4 cached 0.1 out 1.6 USD/Mtok",
        "default/pii at output choice 0: mask (email, iban), 0.25 ms",
        "[1] guide.md > Setup > Keys (characters 10 to 99) https://docs.example.com/guide#keys",
        "lexical_grounding: 0.8125",
        "x: unscored (no_context)",
        "retrieve: index slow",
    ):
        assert part in shown, part


def test_the_waterfall_puts_attempts_under_the_stage_they_began_in(config: Path) -> None:
    store_lines(config, {"t": "call", "call": eventful()})
    lines = run("show", "018f0000", "--config", str(config)).splitlines()
    steps = [line for line in lines if "█" in line]
    names = [line.split("  ")[0] or line.split("  ")[1] for line in steps]
    assert [name.strip() for name in names] == [
        *("authenticate", "retrieve", "route"),
        *("└ 1 gpu/qwen", "└ 2 openai/gpt-4.1-mini", "└ 3 openai/gpt-4.1-mini"),
    ]
    starts = [line.index("█") for line in steps]
    assert starts == sorted(starts) and starts[0] < starts[-1]


def test_a_replay_names_the_call_whose_answer_it_got(config: Path) -> None:
    store_lines(config, {"t": "call", "call": {**call(), "replayed": "018f-earlier"}})
    assert "of 018f-earlier" in run("show", call()["call_id"][:8], "--config", str(config))


def test_an_outcome_that_there_is_not_is_refused(config: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run("list", "--outcome", "bad", "--config", str(config))
    assert ended.value.code == 2


def test_a_failed_call_says_why(config: Path) -> None:
    record = call(outcome="error", status=502, error_code="upstream_error", error_message="no one")
    store_lines(config, {"t": "call", "call": record})
    assert "upstream_error: no one" in run("show", record["call_id"], "--config", str(config))
    assert "upstream_error" in run("list", "--config", str(config))


def test_a_program_gets_the_whole_record_and_exact_money(config: Path) -> None:
    record = eventful()
    store_lines(config, {"t": "call", "call": record}, scores_line(record["call_id"], 1))
    shown = json.loads(run("show", record["call_id"], "--json", "--config", str(config)))
    assert shown == {**record, "scores": [], "feedback": []}
    (listed,) = json.loads(run("list", "--json", "--config", str(config)))
    assert (listed["call_id"], listed["cost_usd"]) == (record["call_id"], "0.000072000001")


def test_a_list_shows_the_latest_first_and_where_it_goes_on(config: Path) -> None:
    records = [call(started_unix_ns=STARTED + n, route=f"route-{n}") for n in range(3)]
    for record in records:
        store_lines(config, {"t": "call", "call": record})
    shown = run("list", "--limit", "2", "--config", str(config))
    assert shown.index("route-2") < shown.index("route-1") and "route-0" not in shown
    rest = run("list", "--before", records[1]["call_id"], "--config", str(config))
    assert "route-0" in rest and "route-1" not in rest
    one = run("list", "--route", "route-1", "--outcome", "ok", "--config", str(config))
    assert "route-1" in one and "route-2" not in one


def test_calls_of_eval_runs_are_marked_and_can_be_left_out(config: Path) -> None:
    for source in ("serve", "eval"):
        made: Any = call(source=source, route=f"of-{source}")
        store_lines(config, {"t": "call", "call": made})
    lines = run("list", "--config", str(config)).splitlines()
    assert "source" in next(line for line in lines if "call id" in line)
    assert "eval" in next(line for line in lines if "of-eval" in line).split()
    assert "serve" in next(line for line in lines if "of-serve" in line).split()
    served = run("list", "--source", "serve", "--config", str(config))
    assert "of-serve" in served and "of-eval" not in served


def interrupted(*, reserved: int | None) -> CallRecord:
    made = call(cost_pico=0)
    begun = begin_line(
        attempt(made["call_id"]), head_of(made), reserved_pico=reserved, input_tokens=9
    )
    *_, line = settle([[begun]])
    assert line["t"] == "call"
    return line["call"]


def test_an_interrupted_call_names_what_was_asked_and_what_was_reserved_for_it(
    config: Path,
) -> None:
    record = interrupted(reserved=700_000)
    store_lines(config, {"t": "call", "call": record})
    shown = run("show", record["call_id"], "--config", str(config))
    target = next(line for line in shown.splitlines() if line.startswith("target"))
    assert target.split() == ["target", "openai/gpt-4.1-mini"]
    told = [line.strip() for line in shown.splitlines() if "reserved" in line]
    assert len(told) == 2  # the call's cost, and the attempt's
    assert all(line.endswith("0.0000007 USD reserved") for line in told)


def test_an_interrupted_call_without_a_price_does_not_speak_of_reserving(config: Path) -> None:
    record = interrupted(reserved=None)
    store_lines(config, {"t": "call", "call": record})
    shown = run("show", record["call_id"], "--config", str(config))
    assert "unpriced" in shown and "reserved" not in shown


def test_an_unpriced_call_is_not_shown_as_free(config: Path) -> None:
    store_lines(config, {"t": "call", "call": call(unpriced=True, cost_pico=0)})
    assert "unpriced" in run("list", "--config", str(config))


@pytest.mark.parametrize(
    ("call_id", "error"), [("beef", NotFound), ("", NotFound), ("018f", InvalidRequest)]
)
def test_an_id_that_names_no_single_call_is_a_clear_error_with_exit_code_1(
    config: Path, call_id: str, error: type[HeadgateError]
) -> None:
    for n in "12":
        record: Any = call(call_id=f"018f0000-0000-7000-8000-00000000000{n}")
        store_lines(config, {"t": "call", "call": record})
    with pytest.raises(error) as raised:
        run("show", call_id, "--config", str(config))
    assert raised.value.exit_code == 1


def test_captured_text_cannot_format_the_terminal(config: Path) -> None:
    answer = "[red]not markup[/red] \x1b[2J"
    content = {"messages": [], "answer": answer, "passages": []}
    record = call(content=content, capture="full")
    store_lines(config, {"t": "call", "call": record})
    shown = run("show", record["call_id"], "--config", str(config))
    assert "[red]not markup[/red] \ufffd[2J" in shown
    assert "\x1b" not in shown
