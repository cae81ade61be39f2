"""A delivered answer as bytes to keep, and back again as a reply."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict

import orjson

from headgate_core.context import Context
from headgate_core.endpoints import CHAT
from headgate_core.reply import Chunk, Done, Event, Events, Facts, Raw, Reply
from headgate_core.store.rows import pack, unpack
from headgate_core.types import Citation, Json, Verdict

MOST_BYTES = 8 * 1024 * 1024
"""A larger answer (as compressed JSON) is not kept."""
MOST_COLLECTED = 4 * MOST_BYTES
"""Bytes of events that are collected, before they are compressed."""


class Collected:
    """The events of an answer, as far as there is room for them."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self._size = 0

    def add(self, event: Event) -> None:
        """As it is now: whoever comes later may add to a body."""
        if isinstance(event, Done) or self.too_large:
            return
        try:
            data = event.data if isinstance(event, Raw) else orjson.dumps(event.body)
        except TypeError:  # nested deeper than is ever written
            data = b""
            self._size = MOST_COLLECTED
        self._size += max(1, len(data))
        self.events.append({"raw" if isinstance(event, Raw) else "body": data})
        if self.too_large:
            self.events.clear()

    @property
    def too_large(self) -> bool:
        """Whether there was more than can be kept."""
        return self._size > MOST_COLLECTED


def packed(ctx: Context, reply: Reply, made: Collected, terms: str) -> bytes:
    """What was delivered, and what its ``headgate`` member says of it. Takes a while."""
    facts = reply.facts
    return pack(
        {
            "terms": terms,
            "call_id": ctx.call_id,
            "stream": reply.stream,
            "wire": reply.wire,
            "events": [_written(event) for event in made.events],
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


def replayed(ctx: Context, answer: bytes, terms: str) -> Reply | None:
    """The kept answer as this call's reply; what was known of it is put on ``ctx``.

    None where it was made under other terms, and might hold what a guard of today keeps back.
    """
    kept: Json = unpack(answer)
    if kept.get("terms") != terms:
        return None
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


def _written(event: Json) -> Json:
    if "raw" in event:
        return {"raw": base64.b64encode(event["raw"]).decode()}
    return {"body": orjson.loads(event["body"])}


async def _events(written: Sequence[Json]) -> Events:
    for event in written:
        if "raw" in event:
            yield Raw(base64.b64decode(event["raw"]))
        elif "body" in event:
            yield Chunk(event["body"])
    yield Done()
