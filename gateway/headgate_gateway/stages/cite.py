"""Markers -> citations over the delivered text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from headgate_core.context import Context
from headgate_core.errors import Internal
from headgate_core.reply import Chunk, Done, Events, Reply, closing
from headgate_core.types import Citation, Json, Passage
from headgate_gateway.plan import RoutePlan
from headgate_gateway.replies.chunks import finishes
from headgate_gateway.replies.flat_texts import pieces as texts_of
from headgate_gateway.replies.texts import part

_MARKER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def citations(text: str, passages: list[Passage]) -> Iterator[Citation]:
    """One citation for each number of each marker such as ``[2]`` or ``[1, 3]`` that exists."""
    for marker in _MARKER.finditer(text):
        for digits in marker[1].split(","):
            number = int(digits)
            if 1 <= number <= len(passages):
                yield _citation(number, passages[number - 1], marker.span())


def _citation(number: int, passage: Passage, at: tuple[int, int]) -> Citation:
    return Citation(
        number,
        passage.id,
        passage.document,
        passage.title,
        passage.heading,
        passage.start,
        passage.end,
        passage.url,
        at,
    )


def annotation(citation: Citation) -> Json:
    """OpenAI's ``url_citation`` form of a citation."""
    trail = citation.heading
    if citation.title and citation.title not in trail[:1]:
        trail = (citation.title, *trail)
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": citation.at[0],
            "end_index": citation.at[1],
            "title": " > ".join(trail) or citation.document,
            "url": citation.url,
        },
    }


@dataclass(slots=True)
class Cite:
    """Keeps the delivered text of choice 0 and turns its markers into citations at its end."""

    name: ClassVar[str] = "cite"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False

    @classmethod
    def compile(cls, plan: RoutePlan) -> Cite | None:
        """Only where the reply's text is needed."""
        return cls() if plan.text else None

    async def run(self, ctx: Context) -> None:
        """Wrap ``ctx.reply``."""
        if ctx.reply is None:
            raise Internal("There is no reply to cite from.")
        ctx.reply = replace(ctx.reply, events=self._cited(ctx, ctx.reply))

    async def _cited(self, ctx: Context, reply: Reply) -> Events:
        pieces: list[str] = []
        async with closing(reply.events) as events:
            async for event in events:
                if isinstance(event, Chunk):
                    self._collect(ctx, event.body, pieces)
                elif isinstance(event, Done):
                    ctx.answer = "".join(pieces)
                yield event

    def _collect(self, ctx: Context, body: Json, pieces: list[str]) -> None:
        for choice in body.get("choices") or ():
            if int(choice.get("index") or 0) == 0:
                text = part(choice).get("content")
                if isinstance(text, str):
                    pieces.append(text)
                elif isinstance(text, list):
                    pieces += [said for member, said in texts_of(text) if member == "content"]
        for choice in finishes(body):
            if int(choice.get("index") or 0) == 0:
                ctx.answer = "".join(pieces)
                if ctx.passages:
                    self._close(ctx, choice)

    def _close(self, ctx: Context, choice: Json) -> None:
        ctx.citations = list(citations(ctx.answer, ctx.passages))
        ctx.cited = list(dict.fromkeys(c.number for c in ctx.citations))
        if ctx.citations:
            holder = choice.setdefault("delta" if "delta" in choice else "message", {})
            own = holder.get("annotations") or []
            holder["annotations"] = [*own, *map(annotation, ctx.citations)]
