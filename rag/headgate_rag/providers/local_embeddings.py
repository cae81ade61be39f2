"""``/v1/embeddings`` from the embedding model of this installation, without an upstream."""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from headgate_core.errors import InvalidRequest
from headgate_core.honoured import honours, unsupported
from headgate_core.ports import ModelRequest, Tools
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_core.types import Json, Principal, Purpose, Usage
from headgate_rag.token_ids import UnknownToken, decoded
from headgate_rag.tokens import count_tokens

_HONOURED = honours(("model", "input", "encoding_format", "user", "metadata", "headgate"))


@dataclass
class LocalEmbeddings:
    """Unit-length vectors of the embedder that the collections use, else of `minilm`. Free.

    Its tokens are estimated from the text, because the model's own count stays in the process
    that embeds.

    ``token_ids``: what clients mean by token ids in place of text. They are decoded as
    ``cl100k_base``, which OpenAI's embedding models use and LangChain takes for every model that
    it does not know, or they are refused.
    """

    free: ClassVar[bool] = True
    serves: ClassVar[tuple[str, ...]] = ("embeddings",)
    token_ids: Literal["cl100k_base", "refuse"] = "cl100k_base"

    def bind(self, tools: Tools) -> None:
        """Take the embedder, the one way to an embedding model."""
        self._embedder = tools.embedder

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """Everything beside the texts and the encoding, `dimensions` too: a vector is whole."""
        return unsupported(request.body, _HONOURED)

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Embed the texts. Raises ``InvalidRequest`` for token ids that cannot be read."""
        given = request.body["input"]
        texts = [given] if isinstance(given, str) else given
        if not all(isinstance(text, str) for text in texts):
            texts = await asyncio.to_thread(self._read, texts)
        who = request.context.payer if request.context else Principal(key_id="", name=model)
        vectors = await self._embedder.embed(texts, Purpose.EMBED, who)
        tokens = sum(map(count_tokens, texts))
        encode = _base64 if request.body.get("encoding_format") == "base64" else list
        body: Json = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": encode(vector)}
                for index, vector in enumerate(vectors)
            ],
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
        facts = Facts(Usage(input_tokens=tokens, estimated=True), model, content=True)
        return Reply(False, _whole(body), facts)

    def _read(self, given: list[Any]) -> list[str]:
        """The texts, and those that came as token ids: one list of them, or a list in a list."""
        if self.token_ids == "refuse":
            raise InvalidRequest(
                "This embedding model reads text, and `input` holds token ids. "
                "Send text (LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)).",
                param="input",
            )
        if isinstance(given[0], int):
            return [_text(given, "input")]
        return [
            one if isinstance(one, str) else _text(one, f"input[{place}]")
            for place, one in enumerate(given)
        ]


def _text(tokens: Sequence[int], where: str) -> str:
    try:
        return decoded(tokens)
    except UnknownToken as unknown:
        where = f"{where}[{unknown.place}]"
        raise InvalidRequest(
            f"`{where}`: {unknown}. Send text, or token ids of that vocabulary.", param=where
        ) from unknown


async def _whole(body: Json) -> Events:
    yield Chunk(body)
    yield Done()


def _base64(vector: Sequence[float]) -> str:
    """The vector as little-endian 32-bit floats, as OpenAI's clients decode it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
