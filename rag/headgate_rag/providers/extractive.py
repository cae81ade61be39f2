"""A model in this process that answers in the documents' own words, with a citation each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from headgate_core.errors import ConfigurationError, UpstreamStatus
from headgate_core.honoured import ONE_TEXT, unsupported
from headgate_core.ports import ModelRequest, Tools
from headgate_core.reply import Reply
from headgate_core.types import Json, Passage, Purpose, Usage
from headgate_rag.answering import Judgement, Reading, choose
from headgate_rag.completion import Completion
from headgate_rag.embedding import CloseReader
from headgate_rag.nearness import Nearness
from headgate_rag.questions import questions
from headgate_rag.statements import Statement, statements

_TOKEN = re.compile(r"\w+|[^\w\s]")
_MARKER = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")


@dataclass
class Extractive:
    """Answers by selecting and citing sentences of the call's passages; declines when none answers.

    It reads ``Context.passages``, never the prompt. ``min_confidence`` (0..1) is how sure it must
    be to answer; ``sentences`` and ``margin`` bound how many it quotes; ``read_passages`` how many
    of the best passages it reads. Its tokens are words and punctuation marks, counted exactly: as
    input the question and the passages read, as output the answer.
    """

    free: ClassVar[bool] = True
    min_confidence: float = 0.86
    sentences: int = 2
    margin: float = 3.0
    read_passages: int = 8
    decline: str = "The documents do not answer this question."

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise ConfigurationError("provider 'extractive': min_confidence must be 0..1.")
        if min(self.sentences, self.read_passages) < 1 or not self.decline.strip():
            raise ConfigurationError(
                "provider 'extractive': sentences and read_passages must be 1 or more, and "
                "decline must say something."
            )

    def bind(self, tools: Tools) -> None:
        """Take the embedder, the one way to an embedding model."""
        self._embedder = cast(CloseReader, tools.embedder)

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Answer the call's question. Raises ``UpstreamStatus`` 400 for what it cannot do."""
        _refuse_unsupported(request.body)
        passages = request.context.passages[: self.read_passages] if request.context else []
        asked = questions(request)
        text = await self._answer(asked, passages, request)
        text, finish = _bounded(text, request.body)
        read = [*asked[:1], *(p.text for p in passages)]
        usage = Usage(sum(map(_tokens, read)), _tokens(text))
        completion = Completion(model, text, usage, finish)
        options = request.body.get("stream_options") or {}
        return completion.reply(request.stream, bool(options.get("include_usage")))

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """Whatever asks for more than one quoted text."""
        return unsupported(request.body, ONE_TEXT)

    async def _answer(
        self, asked: Sequence[str], passages: Sequence[Passage], request: ModelRequest
    ) -> str:
        if not passages or not asked or request.context is None:
            return self.decline
        principal = request.context.payer

        async def embed(texts: Sequence[str]) -> list[list[float]]:
            return await self._embedder.embed(texts, Purpose.EMBED, principal)

        async def compare(question: str, texts: Sequence[str]) -> Nearness:
            return await self._embedder.nearest(question, texts, principal)

        stated = await asyncio.to_thread(_stated, passages)
        reading = Reading(passages, stated, embed, compare)
        judgements = [await reading.judge(question) for question in asked]
        best = max(judgements, key=lambda j: j.confidence)
        return self._worded(best) if best.confidence >= self.min_confidence else self.decline

    def _worded(self, judgement: Judgement) -> str:
        chosen = choose(judgement.ranked, self.sentences, self.margin)
        # A bracketed number of the document itself would be taken for one of our citations.
        texts = (_MARKER.sub(r"(\1)", statement.text) for statement in chosen)
        return "\n".join(f"{t} [{s.number}]" for t, s in zip(texts, chosen, strict=True))


def _stated(passages: Sequence[Passage]) -> list[Statement]:
    return [s for number, p in enumerate(passages, start=1) for s in statements(number, p)]


def _tokens(text: str) -> int:
    return len(_TOKEN.findall(text))


def _bounded(text: str, body: Json) -> tuple[str, Literal["stop", "length"]]:
    """The text within the request's token limit, and the finish reason."""
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    marks = list(_TOKEN.finditer(text))
    if not isinstance(limit, int) or len(marks) <= limit:
        return text, "stop"
    return text[: marks[limit - 1].end()] if limit > 0 else "", "length"


def _refuse_unsupported(body: Json) -> None:
    wanted = body.get("response_format") or {}
    if body.get("n") not in {None, 1}:
        raise UpstreamStatus(
            "The extractive model gives one answer: n must be 1.", upstream_status=400
        )
    if wanted.get("type", "text") != "text":
        raise UpstreamStatus(
            "The extractive model quotes text: response_format must be text.", upstream_status=400
        )
