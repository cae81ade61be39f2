"""A delivered answer as bytes to keep, and back again as a reply."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict

from headgate_core.context import Context
from headgate_core.endpoints import CHAT
from headgate_core.reply import Chunk, Done, Event, Events, Facts, Raw, Reply
from headgate_core.store.rows import pack, unpack
from headgate_core.types import Citation, Json, Verdict

MOST_BYTES = 8 * 1024 * 1024
"""A larger answer (as compressed JSON) is not kept."""


def packed(ctx: Context, reply: Reply, events: Sequence[Event]) -> bytes:
    """What was delivered, and what its ``headgate`` member says of it."""
    facts = reply.facts
    return pack(
        {
            "call_id": ctx.call_id,
            "stream": reply.stream,
            "wire": reply.wire,
            "events": [_written(event) for event in events],
            "facts": {
                "model": facts.model,
                "response_id": facts.response_id,
                "finish_reasons": facts.finish_reasons,
            },
            "answer": ctx.answer,
            "refused": ctx.refused,
            "prompt": ctx.prompt,
            "degraded": ctx.degraded,
            "dropped": ctx.dropped,
            "citations": [asdict(c) for c in ctx.citations],
            "cited": ctx.cited,
            "verdicts": [asdict(v) for v in ctx.verdicts],
        }
    )


def replayed(ctx: Context, answer: bytes) -> Reply:
    """The kept answer as this call's reply; what was known of it is put on ``ctx``."""
    kept: Json = unpack(answer)
    ctx.replayed = kept["call_id"]
    ctx.answer = kept["answer"]
    ctx.refused = kept["refused"]
    ctx.prompt = kept["prompt"]
    ctx.degraded = kept["degraded"]
    ctx.dropped = list(dict.fromkeys([*ctx.dropped, *kept.get("dropped", ())]))
    ctx.cited = kept["cited"]
    ctx.citations = [
        Citation(**{**c, "heading": tuple(c["heading"]), "at": tuple(c["at"])})
        for c in kept["citations"]
    ]
    ctx.verdicts = [Verdict(**{**v, "kinds": tuple(v["kinds"])}) for v in kept["verdicts"]]
    facts = Facts(**kept["facts"], content=True)
    return Reply(kept["stream"], _events(kept["events"]), facts, wire=kept.get("wire", CHAT))


def _written(event: Event) -> Json:
    if isinstance(event, Raw):
        return {"raw": base64.b64encode(event.data).decode()}
    return {"body": event.body} if isinstance(event, Chunk) else {}


async def _events(written: Sequence[Json]) -> Events:
    for event in written:
        if "raw" in event:
            yield Raw(base64.b64decode(event["raw"]))
        elif "body" in event:
            yield Chunk(event["body"])
    yield Done()
