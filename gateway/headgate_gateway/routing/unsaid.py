"""The usage of a stream whose target says none, for callers who asked for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from headgate_core.endpoints import CHAT
from headgate_core.ports import ModelRequest
from headgate_core.records import AttemptRecord
from headgate_core.reply import Chunk, Event, Facts, Raw
from headgate_core.types import Usage
from headgate_gateway.replies.chunks import usage_chunk, wants_usage
from headgate_gateway.sse import encode


def unsaid_usage(request: ModelRequest, facts: Facts, booked: AttemptRecord) -> Iterator[Event]:
    """Before the end of a stream: the usage as it was estimated and booked."""
    asked = request.stream and request.endpoint == CHAT and wants_usage(request.body)
    if asked and facts.usage is None and booked["usage"] is not None:
        like = {"id": facts.response_id, "created": int(time.time()), "model": facts.model}
        body = usage_chunk(like, Usage(**booked["usage"]))
        yield Chunk(body) if request.parsed else Raw(encode(orjson.dumps(body)))
