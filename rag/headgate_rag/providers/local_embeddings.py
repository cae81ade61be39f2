"""``/v1/embeddings`` from the embedding model of this installation, without an upstream."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from headgate_core.errors import InvalidRequest
from headgate_core.honoured import honours, unsupported
from headgate_core.ports import ModelRequest, Tools
from headgate_core.reply import Chunk, Done, Events, Facts, Reply
from headgate_core.types import Json, Principal, Purpose, Usage
from headgate_rag.tokens import count_tokens

_HONOURED = honours(("model", "input", "encoding_format", "user", "metadata", "headgate"))


@dataclass
class LocalEmbeddings:
    """Unit-length vectors of the embedder that the collections use, else of `minilm`. Free.

    Its tokens are estimated from the text, because the model's own count stays in the process
    that embeds.
    """

    free: ClassVar[bool] = True
    serves: ClassVar[tuple[str, ...]] = ("embeddings",)

    def bind(self, tools: Tools) -> None:
        """Take the embedder, the one way to an embedding model."""
        self._embedder = tools.embedder

    async def unsupported(self, request: ModelRequest, model: str) -> Sequence[str]:
        """Everything beside the texts and the encoding, `dimensions` too: a vector is whole."""
        return unsupported(request.body, _HONOURED)

    async def forward(self, request: ModelRequest, model: str) -> Reply:
        """Embed the texts. Raises ``InvalidRequest`` for token ids."""
        texts = _texts(request.body["input"])
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


async def _whole(body: Json) -> Events:
    yield Chunk(body)
    yield Done()


def _texts(given: object) -> list[str]:
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise InvalidRequest(
            "The local embedding model reads text, and `input` holds token ids of another model. "
            "Send text (LangChain: OpenAIEmbeddings(check_embedding_ctx_length=False)).",
            param="input",
        )
    return found


def _base64(vector: Sequence[float]) -> str:
    """The vector as little-endian 32-bit floats, as OpenAI's clients decode it."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
