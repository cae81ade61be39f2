"""How ``headgate ask`` shows an answer."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from headgate_core.context import Context
from headgate_core.money import usd_text
from headgate_core.records import CitationRecord, ScoreRecord
from headgate_core.store.calls import StoredCall


def as_document(ctx: Context, stored: StoredCall) -> str:
    """Everything as one JSON document."""
    record = stored.record
    document = {
        "answer": ctx.answer,
        "call_id": ctx.call_id,
        "outcome": record["outcome"],
        "citations": record["citations"],
        "scores": stored.scores,
        "cost_usd": None if record["unpriced"] else usd_text(record["cost_pico"]),
        "target": record["target"],
        "prompt": record["prompt"],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def as_text(ctx: Context, stored: StoredCall) -> str:
    """The answer, its numbered citations, then call id, scores and cost."""
    return "\n".join(_lines(ctx, stored))


def _lines(ctx: Context, stored: StoredCall) -> Iterator[str]:
    record = stored.record
    yield ctx.answer
    yield ""
    shown: dict[int, CitationRecord] = {}
    for citation in record["citations"]:
        shown.setdefault(citation["number"], citation)
    for number, citation in sorted(shown.items()):
        where = " > ".join([citation["document"], *citation["heading"]])
        yield f"[{number}] {where} (characters {citation['start']}-{citation['end']})"
        if citation["url"]:
            yield f"    {citation['url']}"
    if shown:
        yield ""
    yield f"call    {ctx.call_id}"
    yield f"model   {record['target']}" + (f", prompt {record['prompt']}" if ctx.prompt else "")
    yield f"cost    {'unpriced' if record['unpriced'] else usd_text(record['cost_pico']) + ' USD'}"
    for number, score in enumerate(stored.scores):
        yield f"{'scores' if number == 0 else '':<7} {_score(score)}"


def _score(score: ScoreRecord) -> str:
    if score["value"] is None:
        return f"{score['metric']} unscored({score['unscored']})"
    return f"{score['metric']} {score['value']:.4g}"
