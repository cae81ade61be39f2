"""A provider that knows which parameters it honours: only the plainest of every endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from upstream import completion

from headgate_core.ports import ModelRequest
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_gateway.replies.chunks import as_chunks

Json = dict[str, Any]
_HONOURED = frozenset(
    {"model", "messages", "input", "query", "documents", "stream", "stream_options", "max_tokens"}
    | {"max_completion_tokens"}
)
_ANSWERS: dict[str, Json] = {
    "chat/completions": completion("Hello"),
    "embeddings": {"data": [], "usage": {"prompt_tokens": 1}},
    "rerank": {"results": []},
    "moderations": {"results": []},
}


@dataclass
class Picky:
    """Answers every endpoint; ``seen`` holds the bodies that came."""

    serves: ClassVar[tuple[str, ...]] = ("chat", "embeddings", "rerank", "moderation")
    seen: ClassVar[list[Json]] = []

    async def chat(self, request: ModelRequest, model: str) -> Reply:
        """Says hello."""
        self.seen.append(request.body)
        body = _ANSWERS[request.endpoint]
        return Reply(request.stream, _events(body, request.stream), Facts(content=True))

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Answers with nothing found."""
        return await self.chat(request, model)

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """All that is not of the plainest."""
        return [n for n, value in request.body.items() if n not in _HONOURED and value is not None]


async def _events(body: Json, stream: bool) -> Events:
    for chunk in as_chunks(body, include_usage=True) if stream else [body]:
        yield Chunk(chunk)
    yield Done()
