"""The spans of one call as a compact blob: times relative, names from a dictionary, compressed.

A blob is one byte, the number of its form, and what that form says. A form is never changed, only
another one added, because blobs rest in stores.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import orjson

from headgate_core.telemetry.spans import SpanRecord

FORM = b"\x01"

_WORDS = b"".join(
    (
        b"retrieval gen_ai.data_source.id headgate.retrieval.passages headgate.guard.verdicts",
        b"headgate.tags headgate.degraded gen_ai.conversation.id gen_ai.evaluation.result",
        b'"gen_ai.usage.cache_read.input_tokens":"gen_ai.usage.reasoning.output_tokens":',
        b'"error.type":"upstream_timeout""upstream_unreachable""headgate.session":"headgate.user":',
        b'"openai""anthropic""embeddings""error""refused""cancelled""fallback""retry"',
        b'"guard_input","INTERNAL","guard_passages","guard_output","cite","recall","remember",',
        b'null,[["headgate ","SERVER","","",0,{"headgate.call_id":"019","headgate.route":"',
        b'","headgate.source":"serve","headgate.asked_model":"","headgate.config_hash":"',
        b'","headgate.key_id":"","headgate.team":"default","headgate.tenant":"default",',
        b'"headgate.stream":true,"headgate.stream":false,"headgate.status":200,',
        b'"headgate.outcome":"ok","headgate.prompt":"","headgate.cache":"off",',
        b'"headgate.target":"","headgate.unpriced":false,',
        b'"headgate.endpoint":"chat/completions"},[],"",""],',
        b'["admit","INTERNAL","","",0,{"headgate.call_id":"","headgate.stage":"admit"},[],"",""],',
        b'["render","INTERNAL","","",0,{"headgate.call_id":"","headgate.stage":"render"},[],""],',
        b'["settle","INTERNAL","","",0,{"headgate.call_id":"","headgate.stage":"settle"},[],""],',
        b'["route","INTERNAL","","",0,{"headgate.call_id":"","headgate.stage":"route"},[],"",""],',
        b'["chat ","CLIENT","","",{"gen_ai.operation.name":"chat","gen_ai.provider.name":"',
        b'","gen_ai.request.model":"","gen_ai.response.model":"","gen_ai.response.id":"chatcmpl-',
        b'","server.address":"127.0.0.1","gen_ai.usage.input_tokens":',
        b',"gen_ai.usage.output_tokens":,"headgate.usage.estimated":false,',
        b'"gen_ai.request.stream":false,"gen_ai.response.time_to_first_chunk":0.',
        b',"gen_ai.response.finish_reasons":["stop"],"headgate.call_id":"',
        b'","headgate.attempt_id":"019","headgate.n":1,"headgate.why":"first",',
        b'"headgate.purpose":"serve","headgate.pool":"","headgate.outcome":"ok",',
        b'"headgate.price":"bundled : in 0. cached 0. out 1. USD/Mtok",',
        b'"headgate.unpriced":false,"headgate.cost_pico":,"headgate.cost_usd":"0.0000',
        b'","server.port":443},[],"",""]]',
    )
)
"""What most blobs of form 1 consist of. Compression begins as if it had just seen this."""


def pack(spans: Sequence[SpanRecord]) -> bytes:
    """Spans of one trace as a blob, for ``unpack``. Raises ``IndexError`` when there are none."""
    first = spans[0]
    start = first["start_unix_ns"]
    rows = [
        (
            span["name"],
            span["kind"],
            span["span_id"],
            span["parent_span_id"],
            span["start_unix_ns"] - start,
            span["end_unix_ns"] - span["start_unix_ns"],
            span["attributes"],
            span["events"],
            span["error"],
        )
        for span in spans
    ]
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 13, 6, zdict=_WORDS)
    plain = orjson.dumps((first["trace_id"], start, rows))
    return FORM + squeeze.compress(plain) + squeeze.flush()


def unpack(blob: bytes) -> list[SpanRecord]:
    """The spans that ``pack`` was given. Raises ``ValueError`` for a form that is not known."""
    if not blob.startswith(FORM):
        raise ValueError(
            f"Spans of form {blob[:1].hex() or 'none'} were written by a newer version of "
            "Headgate: install that one to read them."
        )
    stretch = zlib.decompressobj(zdict=_WORDS)
    trace_id, start, rows = orjson.loads(stretch.decompress(blob[1:]) + stretch.flush())
    return [_span(trace_id, start, *row) for row in rows]


def _span(trace_id: str, base: int, *row: Any) -> SpanRecord:
    name, kind, span_id, parent, start, duration, attributes, events, error = row
    return {
        "name": name,
        "kind": kind,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_span_id": parent,
        "start_unix_ns": base + start,
        "end_unix_ns": base + start + duration,
        "attributes": attributes,
        "events": events,
        "error": error,
    }
