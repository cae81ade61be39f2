"""For each token of a question, the nearest token of a text: late interaction.

Comparing token by token tells what two vectors of whole texts hide: which part of a question a
text says nothing about. Source of the method: Khattab and Zaharia, ColBERT, SIGIR 2020, whose
operation MaxSim this is; here with the embedding model as it is, not trained for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headgate_core.errors import ServiceError
from headgate_rag.types import EmbeddingModel, Tokens

_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")


def read_tokens(model: EmbeddingModel, texts: Sequence[str]) -> list[Tokens]:
    """The tokens of each text in their context; each word by itself where the model has none.

    Vectors are 16-bit floats of unit length. Raises ``ServiceError`` for what is no vector.
    """
    import numpy as np

    tokens = getattr(model, "tokens", None)
    found: list[Tokens] = tokens(texts) if tokens else _single_words(model, texts)
    for read in found:
        if len(read.spans) != len(read.vectors) or not np.isfinite(read.vectors).all():
            raise ServiceError(
                f"The embedder {model.fingerprint} returned token vectors that are none, or not "
                "one for each token."
            )
    return [Tokens(read.spans, read.vectors.astype(np.float16)) for read in found]


def nearest(question: Tokens, texts: Sequence[Tokens]) -> dict[str, Any]:
    """``spans`` of the question's tokens, and for each text ``nearest``: one cosine a token.

    A cosine is that of the text's nearest token, -1..1; 0 in a text without any token.
    """
    import numpy as np

    asked = question.vectors.astype(np.float32)
    rows = []
    for text in texts:
        if len(text.vectors) and len(asked):
            best = (asked @ text.vectors.astype(np.float32).T).max(axis=1)
        else:
            best = np.zeros(len(asked))
        # Four digits: the order of texts within a batch shows in the digits behind.
        rows.append([round(float(value), 4) for value in best])
    return {"spans": [list(span) for span in question.spans], "nearest": rows}


def _single_words(model: EmbeddingModel, texts: Sequence[str]) -> list[Tokens]:
    import numpy as np

    spans = [tuple(match.span() for match in _WORD.finditer(text)) for text in texts]
    words = [[text[a:b].lower() for a, b in own] for text, own in zip(texts, spans, strict=True)]
    distinct = sorted({word for own in words for word in own})
    vectors = dict(zip(distinct, model.encode(distinct), strict=True)) if distinct else {}
    return [
        Tokens(own, np.array([vectors[w] for w in said]).reshape(len(said), model.dimension))
        for own, said in zip(spans, words, strict=True)
    ]
