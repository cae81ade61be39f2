"""A chat reply as a Responses object, whole or as the typed events of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.types import Json
from headgate_gateway.http.dialects.replies import Piece, Reading
from headgate_gateway.http.meta import meta
from headgate_gateway.sse import encode_named

_ECHOED: Json = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}
"""Members of the request that the response repeats, and what they are when they are not set."""

_PARTS = {"text": "output_text", "refusal": "refusal", "thinking": "reasoning_text"}


@dataclass(slots=True)
class _Item:
    """An output item as it stands, and where it stands."""

    index: int
    body: Json


class Out:
    """One response. Items are open to the end: their events carry the item's place and id."""

    def __init__(self, request: Json) -> None:
        self._request = request
        self._reading = Reading()
        self._items: dict[str, _Item] = {}
        self._sequence = 0
        self._opened = False

    def whole(self, ctx: Context, body: Json) -> Json:
        """The response of a reply that came at once."""
        for _ in self.chunk(ctx, body):
            pass  # the events build the items
        for _ in self._ends(ctx):
            pass
        return self._settled(ctx)

    def opening(self, ctx: Context) -> Iterator[bytes]:
        """The response exists and is being worked on."""
        self._opened = True
        shown = self._response(ctx, "in_progress")
        yield self._event("response.created", response=shown)
        yield self._event("response.in_progress", response=shown)

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """The events of one chunk."""
        for piece in self._reading.read(body):
            if piece.kind == "tool":
                yield from self._call(ctx, piece)
            else:
                yield from self._text(ctx, piece)

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """All items are done, and the response with them."""
        yield from self._ends(ctx)
        shown = self._settled(ctx)
        yield self._event(f"response.{shown['status']}", response=shown)

    def failure(self, ctx: Context, error: HeadgateError, said: Json) -> Iterator[bytes]:
        """The error, and the response that failed of it; ``said`` is the envelope's ``error``."""
        if not self._opened:  # a keep-alive had gone out, so that there was no status to send
            yield from self.opening(ctx)
        yield self._event(
            "error",
            code=error.error_code,
            message=error.message,
            param=said["param"],
        )
        shown = self._response(ctx, "failed")
        shown["error"] = {"code": error.error_code, "message": error.message}
        yield self._event("response.failed", response=shown)

    def _event(self, kind: str, **members: object) -> bytes:
        data = {"type": kind, "sequence_number": self._sequence, **members}
        self._sequence += 1
        return encode_named(kind, orjson.dumps(data))

    def _response(self, ctx: Context, status: str) -> Json:
        given = {k: self._request.get(k) for k in _ECHOED if self._request.get(k) is not None}
        return {
            "id": f"resp_{ctx.call_id}",
            "object": "response",
            "created_at": ctx.started_unix_ns // 10**9,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            **_ECHOED,
            **given,
            "model": self._reading.model or ctx.asked_model,
            "output": [item.body for item in self._items.values()],
            "previous_response_id": None,
            "store": False,
            "truncation": "disabled",
            "usage": None,
        }

    def _settled(self, ctx: Context) -> Json:
        usage = self._reading.usage(ctx)
        status, why = self._status()
        return {
            **self._response(ctx, status),
            "incomplete_details": {"reason": why} if why else None,
            "usage": {
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {
                    "cached_tokens": usage.cached_input_tokens,
                    "cache_write_tokens": 0,
                },
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.input_tokens + usage.output_tokens,
            },
            "headgate": meta(ctx),
        }

    def _status(self) -> tuple[str, str]:
        if self._reading.finish == "length":
            return "incomplete", "max_output_tokens"
        if self._reading.finish == "content_filter":
            return "incomplete", "content_filter"
        return "completed", ""

    def _text(self, ctx: Context, piece: Piece) -> Iterator[bytes]:
        """Texts and refusals are parts of one message; thoughts are an item of their own."""
        thought = piece.kind == "thinking"
        key = "thinking" if thought else "message"
        if key not in self._items:
            body: Json = {
                "id": f"{'rs' if thought else 'msg'}_{ctx.call_id}",
                "status": "in_progress",
            }
            if thought:
                body |= {"type": "reasoning", "summary": [], "content": []}
            else:
                body |= {"type": "message", "role": "assistant", "content": []}
            yield self._added(key, body)
        item = self._items[key]
        kind = _PARTS[piece.kind]
        place = next((n for n, p in enumerate(item.body["content"]) if p["type"] == kind), None)
        if place is None:
            place = len(item.body["content"])
            part: Json = {"type": kind, _member(kind): ""}
            if kind == "output_text":
                part |= {"annotations": [], "logprobs": []}
            where = {**_at(item), "content_index": place}
            yield self._event("response.content_part.added", **where, part=part)
            item.body["content"].append(part)
        item.body["content"][place][_member(kind)] += piece.text
        where = {**_at(item), "content_index": place, "delta": piece.text}
        if kind == "output_text":
            where["logprobs"] = []
        yield self._event(f"response.{kind}.delta", **where)

    def _call(self, ctx: Context, piece: Piece) -> Iterator[bytes]:
        if piece.key not in self._items:
            own = f"fc_{ctx.call_id}_{piece.key.removeprefix('tool ')}"
            body = {"id": own, "type": "function_call", "status": "in_progress"}
            body |= {"call_id": piece.id or own, "name": piece.name, "arguments": ""}
            yield self._added(piece.key, body)
        item = self._items[piece.key]
        if piece.text:
            item.body["arguments"] += piece.text
            kind = "response.function_call_arguments.delta"
            yield self._event(kind, **_at(item), delta=piece.text)

    def _added(self, key: str, body: Json) -> bytes:
        item = self._items[key] = _Item(len(self._items), body)
        return self._event("response.output_item.added", output_index=item.index, item=body)

    def _ends(self, ctx: Context) -> Iterator[bytes]:
        status = self._status()[0]
        for item in self._items.values():
            if item.body["type"] == "function_call":
                kind = "response.function_call_arguments.done"
                said = {n: item.body[n] for n in ("name", "arguments")}
                yield self._event(kind, **_at(item), **said)
            else:
                yield from self._parts_end(item)
            item.body["status"] = status
            done = "response.output_item.done"
            yield self._event(done, output_index=item.index, item=item.body)

    def _parts_end(self, item: _Item) -> Iterator[bytes]:
        for place, part in enumerate(item.body["content"]):
            kind = part["type"]
            where = {**_at(item), "content_index": place}
            said: Json = {_member(kind): part[_member(kind)]}
            if kind == "output_text":
                said["logprobs"] = []
                yield from self._annotated(part, where)
            yield self._event(f"response.{kind}.done", **where, **said)
            yield self._event("response.content_part.done", **where, part=part)

    def _annotated(self, part: Json, where: Json) -> Iterator[bytes]:
        for number, annotation in enumerate(self._reading.annotations):
            kind = str(annotation.get("type"))
            own = annotation.get(kind)
            flat = {"type": kind, **own} if isinstance(own, dict) else annotation
            part["annotations"].append(flat)
            said = {**where, "annotation_index": number, "annotation": flat}
            yield self._event("response.output_text.annotation.added", **said)


def _member(kind: str) -> str:
    return "refusal" if kind == "refusal" else "text"


def _at(item: _Item) -> Json:
    return {"item_id": item.body["id"], "output_index": item.index}
