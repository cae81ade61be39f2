"""One call's record drawn for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich import box
from rich.console import RenderableType
from rich.table import Table

from headgate_core.money import usd_text
from headgate_core.records import (
    AttemptRecord,
    CallRecord,
    FeedbackRecord,
    ScoreRecord,
    UsageRecord,
)
from headgate_core.store.calls import StoredCall
from headgate_gateway.commands.tables import plain

BAR_LEAST = 16
BESIDE_BAR = 64
"""Columns that the names and numbers beside the bars take."""


class Bar(NamedTuple):
    """One line of the waterfall, in milliseconds since the call arrived."""

    name: str
    start_ms: float
    ms: float
    note: str
    failed: bool


def render(call: StoredCall, width: int) -> Iterator[RenderableType]:
    """The parts of the picture from top to bottom, for a terminal ``width`` columns wide."""
    record = call.record
    yield _head(record)
    yield _waterfall(record, max(BAR_LEAST, min(60, width - BESIDE_BAR)))
    yield from _section("Attempts", [_attempt(attempt) for attempt in record["attempts"]])
    yield from _section("Verdicts", _verdicts(record))
    yield from _section("Citations", _citations(record))
    yield from _section("Scores", [_score(score) for score in call.scores])
    yield from _section("Feedback", [_feedback(one) for one in call.feedback])
    yield from _section("Done without", record["degraded"])
    if "content" in record:
        yield from _section("Answer as captured", [record["content"]["answer"]])


def money(cost_pico: int, unpriced: bool) -> str:
    """Exact dollars; what has no known price is said, never counted as nothing."""
    if not unpriced:
        return usd_text(cost_pico)
    return f"{usd_text(cost_pico)} + unpriced" if cost_pico else "unpriced"


def usd(cost_pico: int, unpriced: bool) -> str:
    """The same with its unit."""
    shown = money(cost_pico, unpriced)
    return shown if shown == "unpriced" else f"{shown} USD"


def bars(record: CallRecord) -> list[Bar]:
    """Stages in the order of their start, each followed by the attempts that began in it."""
    stages = sorted(record["stages"], key=lambda stage: stage["start_ms"])
    left = sorted(record["attempts"], key=lambda attempt: attempt["start_ms"])
    found: list[Bar] = []
    for n, stage in enumerate(stages):
        found.append(Bar(stage["name"], stage["start_ms"], stage["ms"], "", False))
        until = stages[n + 1]["start_ms"] if n + 1 < len(stages) else float("inf")
        while left and left[0]["start_ms"] < until:
            found.append(_attempt_bar(left.pop(0)))
    return [*found, *map(_attempt_bar, left)]


def _head(record: CallRecord) -> RenderableType:
    started = datetime.fromtimestamp(record["started_unix_ns"] / 1e9, UTC)
    first = record["first_token_ms"]
    facts = {
        "call": record["call_id"],
        "trace": record["trace_id"],
        "time": f"{started:%Y-%m-%d %H:%M:%S.%f} UTC",
        "route": f"{record['route']} (asked for: {record['asked_model']})",
        "outcome": _outcome(record),
        "error": f"{record['error_code']}: {record['error_message']}".strip(": "),
        "target": _target(record),
        "prompt": record["prompt"],
        "cache": record["cache"],
        "replay": f"of {record['replayed']}" if "replayed" in record else "",
        "finish": record["finish_reason"],
        "key": f"{record['key_name'] or record['key_id']} (team {record['team']}, "
        f"tenant {record['tenant']})",
        "tokens": _tokens(record["usage"]),
        "cost": _cost(record),
        "took": f"{record['duration_ms']:.1f} ms"
        + (f", first token after {first:.1f} ms" if first is not None else ""),
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value:
            table.add_row(plain(name, "dim"), plain(value))
    return table


def _outcome(record: CallRecord) -> str:
    where = f" ({record['cancelled_in']})" if "cancelled_in" in record else ""
    return f"{record['outcome']}{where}, status {record['status'] or 'never sent'}"


def _target(record: CallRecord) -> str:
    """What answered; of an interrupted call, what was being asked last."""
    if record["target"] or record["outcome"] != "interrupted" or not record["attempts"]:
        return record["target"]
    last = record["attempts"][-1]
    return f"{last['provider']}/{last['model']}"


def _cost(record: CallRecord) -> str:
    """The cost, and how much of it is no price but what was reserved for attempts left open."""
    total = usd(record["cost_pico"], record["unpriced"])
    reserved = sum(_reserved(attempt) for attempt in record["attempts"])
    if not reserved:
        return total
    whole = reserved == record["cost_pico"] and not record["unpriced"]
    return f"{total} reserved" if whole else f"{total}, {usd(reserved, False)} of it reserved"


def _reserved(attempt: AttemptRecord) -> int:
    return (attempt["cost_pico"] or 0) if attempt["outcome"] == "estimated" else 0


def _waterfall(record: CallRecord, columns: int) -> RenderableType:
    lines = bars(record)
    total = max([record["duration_ms"], *(bar.start_ms + bar.ms for bar in lines)], default=0.0)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", no_wrap=True)
    table.add_column("start ms", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=columns)
    table.add_column("")
    for bar in lines:
        table.add_row(
            plain(bar.name),
            f"{bar.start_ms:.2f}",
            f"{bar.ms:.2f}",
            plain(_drawn(bar, total, columns), "red" if bar.failed else "cyan"),
            plain(bar.note),
        )
    return table


def _drawn(bar: Bar, total: float, columns: int) -> str:
    if total <= 0:
        return ""
    start = min(columns - 1, int(bar.start_ms / total * columns))
    length = max(1, round(bar.ms / total * columns))
    return " " * start + "█" * min(length, columns - start)


def _attempt_bar(attempt: AttemptRecord) -> Bar:
    return Bar(
        f"  └ {attempt['n']} {attempt['provider']}/{attempt['model']}",
        attempt["start_ms"],
        attempt["duration_ms"],
        attempt["outcome"],
        attempt["outcome"] not in ("ok", "cancelled"),
    )


def _attempt(attempt: AttemptRecord) -> str:
    facts = [attempt["purpose"], attempt["why"], attempt["outcome"]]
    if attempt["usage"]:
        facts.append(_tokens(attempt["usage"]))
    cost = usd(attempt["cost_pico"] or 0, attempt["cost_pico"] is None)
    facts.append(f"{cost} reserved" if _reserved(attempt) else cost)
    lines = [f"{attempt['n']} {attempt['provider']}/{attempt['model']}: {', '.join(facts)}"]
    # Of an attempt that was left open the price only says that there is none.
    price = "" if attempt["outcome"] == "estimated" else attempt["price"]
    return "\n      ".join(lines + [line for line in (attempt["error"], price) if line])


def _section(title: str, lines: Sequence[str]) -> Iterator[RenderableType]:
    if lines:
        yield plain(f"\n{title}", "bold")
        for line in lines:
            yield plain(f"  {line}")


def _verdicts(record: CallRecord) -> list[str]:
    return [
        f"{v['policy']}/{v['check']} at {v['at']} {v['subject']}: {v['action']}"
        + (f" ({', '.join(v['kinds'])})" if v["kinds"] else "")
        + (" [shadow]" if v["mode"] == "shadow" else "")
        + (f" {v['error']}" if v["error"] else "")
        + f", {v['ms']:.2f} ms"
        for v in record["verdicts"]
    ]


def _citations(record: CallRecord) -> list[str]:
    cited = [
        f"[{c['number']}] {c['document']} > {' > '.join(c['heading'])} "
        f"(characters {c['start']} to {c['end']}) {c['url']}".rstrip()
        for c in record["citations"]
    ]
    unused = len(record["passages"]) - len({c["number"] for c in record["citations"]})
    return [*cited, f"{unused} more passages were retrieved"] if unused > 0 else cited


def _score(score: ScoreRecord) -> str:
    value = score["value"]
    shown = f"unscored ({score['unscored']})" if value is None else f"{value:.6g}"
    return f"{score['metric']}: {shown}"


def _feedback(feedback: FeedbackRecord) -> str:
    value = feedback["value"]
    words = str(value).lower() if isinstance(value, bool) else value
    shown = f"{words:.6g}" if isinstance(words, float) else words
    comment = f': "{feedback["comment"]}"' if feedback["comment"] else ""
    kept = {"masked": " (masked)", "not_captured": " (its comment was not kept)"}
    return (
        f"{feedback['name']}: {shown}, by {feedback['source']}"
        f"{comment}{kept.get(feedback['comment_status'], '')}"
    )


def _tokens(usage: UsageRecord) -> str:
    parts = [f"{usage['input_tokens']} in"]
    if usage["cached_input_tokens"]:
        parts[0] += f" ({usage['cached_input_tokens']} cached)"
    parts.append(f"{usage['output_tokens']} out")
    if usage["reasoning_tokens"]:
        parts[1] += f" ({usage['reasoning_tokens']} reasoning)"
    return " + ".join(parts) + (", estimated" if usage["estimated"] else "")
