"""The output items of a response, built piece by piece, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headgate_core.types import Json
from headgate_gateway.http.dialects.in_turn import InTurn, Step
from headgate_gateway.http.dialects.replies import Kind, Piece

_PARTS = {"text": "output_text", "refusal": "refusal", "thinking": "reasoning_text"}


@dataclass(slots=True)
class _Item:
    """An output item as it stands, and where it stands."""

    index: int
    body: Json


class Output:
    """Items come one after the other: clients take one to be over when the next one begins.

    ``event`` makes an event of its type and members. Where the end of a text is held back, that of
    the thoughts may come when the text is long under way: their item stays open beside the others.
    """

    def __init__(self, event: Callable[..., bytes]) -> None:
        self._event = event
        self._turns = InTurn(self._gives_way)
        self._items: list[_Item] = []
        self._now: _Item | None = None
        self._beside: _Item | None = None
        self._told = 0
        self.held_back = False

    @property
    def bodies(self) -> list[Json]:
        """All items as they stand."""
        return [item.body for item in self._items]

    def take(self, call_id: str, piece: Piece, annotations: list[Json]) -> Iterator[bytes]:
        """What one piece adds. ``annotations``: those of the text, as far as they have come."""
        if piece.kind == "thinking" and self.held_back and (self._beside or not self._items):
            if self._beside is None:
                self._beside = self._begun(call_id, piece)
                yield self._added(self._beside)
            yield from self._said(self._beside, piece)
            return
        key = piece.key if piece.kind in ("thinking", "tool") else "message"
        for step in self._turns.take(key, piece):
            yield from self._step(call_id, step, "completed", annotations)

    def close(self, call_id: str, status: str, annotations: list[Json]) -> Iterator[bytes]:
        """The rest of all items. ``status``: how the response ends, and its last item with it."""
        if self._beside is not None:
            over = "completed" if len(self._items) > 1 else status
            yield from self._ended(self._beside, over, [])
        for step in self._turns.close():
            calls = step.block.last.kind == "tool"  # which of them was cut short is not known
            over = "completed" if self._turns.more and not calls else status
            yield from self._step(call_id, step, over, annotations)
        yield from self._late(annotations)

    def _gives_way(self, first: Kind, kind: Kind) -> bool:
        return first != "tool" and not (self.held_back and first != "thinking")

    def _step(
        self, call_id: str, step: Step, status: str, annotations: list[Json]
    ) -> Iterator[bytes]:
        if step.what == "begin":
            self._now = self._begun(call_id, step.piece)
            yield self._added(self._now)
        elif self._now is not None and step.what == "say":
            yield from self._said(self._now, step.piece)
        elif self._now is not None:
            yield from self._ended(self._now, status, annotations)

    def _begun(self, call_id: str, piece: Piece) -> _Item:
        if piece.kind == "tool":
            own = f"fc_{call_id}_{piece.key.removeprefix('tool ')}"
            body: Json = {"id": own, "type": "function_call", "status": "in_progress"}
            body |= {"call_id": piece.id or own, "name": piece.name, "arguments": ""}
        else:
            kind = "reasoning" if piece.kind == "thinking" else "message"
            before = sum(item.body["type"] == kind for item in self._items)
            own = f"{'rs' if kind == 'reasoning' else 'msg'}_{call_id}"
            body = {"id": f"{own}_{before}" if before else own, "status": "in_progress"}
            body |= {"type": kind, "content": []}
            if kind == "reasoning":
                body["summary"] = []
            else:
                body["role"] = "assistant"
        self._items.append(_Item(len(self._items), body))
        return self._items[-1]

    def _added(self, item: _Item) -> bytes:
        return self._event("response.output_item.added", output_index=item.index, item=item.body)

    def _said(self, item: _Item, piece: Piece) -> Iterator[bytes]:
        if piece.kind == "tool":
            item.body["arguments"] += piece.text
            kind = "response.function_call_arguments.delta"
            yield self._event(kind, **_at(item), delta=piece.text)
            return
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

    def _ended(self, item: _Item, status: str, annotations: list[Json]) -> Iterator[bytes]:
        if item.body["type"] == "function_call":
            kind = "response.function_call_arguments.done"
            said = {n: item.body[n] for n in ("name", "arguments")}
            yield self._event(kind, **_at(item), **said)
        else:
            yield from self._parts_ended(item, annotations)
        item.body["status"] = status
        done = "response.output_item.done"
        yield self._event(done, output_index=item.index, item=item.body)

    def _parts_ended(self, item: _Item, annotations: list[Json]) -> Iterator[bytes]:
        for place, part in enumerate(item.body["content"]):
            kind = part["type"]
            where = {**_at(item), "content_index": place}
            said: Json = {_member(kind): part[_member(kind)]}
            if kind == "output_text":
                said["logprobs"] = []
                yield from self._annotated(part, where, annotations)
            yield self._event(f"response.{kind}.done", **where, **said)
            yield self._event("response.content_part.done", **where, part=part)

    def _late(self, annotations: list[Json]) -> Iterator[bytes]:
        """Annotations that came when their text was over: the last text gets them."""
        for item in reversed(self._items):
            for place, part in enumerate(item.body.get("content") or ()):
                if part["type"] == "output_text":
                    where = {**_at(item), "content_index": place}
                    yield from self._annotated(part, where, annotations)
                    return

    def _annotated(self, part: Json, where: Json, annotations: list[Json]) -> Iterator[bytes]:
        for annotation in annotations[self._told :]:
            kind = str(annotation.get("type"))
            own = annotation.get(kind)
            flat = {"type": kind, **own} if isinstance(own, dict) else annotation
            said = {**where, "annotation_index": len(part["annotations"]), "annotation": flat}
            part["annotations"].append(flat)
            yield self._event("response.output_text.annotation.added", **said)
        self._told = len(annotations)


def _member(kind: str) -> str:
    return "refusal" if kind == "refusal" else "text"


def _at(item: _Item) -> Json:
    return {"item_id": item.body["id"], "output_index": item.index}
