"""False hits and hits of the semantic cache with the real model: `make bench-semantic-cache`.

Measures on the near-miss set that ships with the cache, or on another file of the same form:
one JSON object a line with the questions ``a`` and ``b``, whether they may share an answer
(``hit``), a ``kind``, and ``split`` (``tune`` where the rules were made by looking at the pair).
Exit code 1 when the share of false hits is 0.5 % or more.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import headgate_gateway.caches
from headgate_core.ports import Tools
from headgate_core.types import Principal, Purpose
from headgate_gateway.caches.semantic import Semantic
from headgate_rag.embedders.minilm import MiniLM

SHIPPED = Path(headgate_gateway.caches.__file__).parent / "near_miss.jsonl"
MOST_FALSE = 0.005
SIMILARITIES = (0.85, 0.9, 0.95, 0.97)


class Vectors:
    """Every text's vector, computed once."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._known = dict(zip(texts, MiniLM().encode(texts), strict=True))

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        """As the port says."""
        return [self._known[text] for text in texts]

    def cosine(self, one: str, other: str) -> float:
        """Similarity of two texts."""
        return sum(x * y for x, y in zip(self._known[one], self._known[other], strict=True))


async def is_hit(vectors: Vectors, pair: dict[str, Any], similarity: float) -> bool:
    """Whether the cache answers ``b`` with what was kept for ``a``."""
    cache = Semantic(min_similarity=similarity)
    cache.bind(cast(Tools, SimpleNamespace(embedder=vectors)))
    await cache.keep("scope", pair["a"], {"kept": True}, "call")
    found = await cache.find("scope", pair["b"], Principal("bench"))
    return found is not None and found.value is not None


def main(path: Path) -> int:
    """Print a table; the exit code says whether false hits are rare enough at the default."""
    pairs = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    vectors = Vectors(sorted({p[side] for p in pairs for side in ("a", "b")}))
    default = Semantic().min_similarity
    bad = False
    print("split     min_similarity  false hits       by similarity alone  paraphrases that hit")
    for split in sorted({p["split"] for p in pairs}):
        own = [p for p in pairs if p["split"] == split]
        for similarity in SIMILARITIES:
            wrong, blind, right, count = Counter[str](), 0, 0, Counter[bool]()
            for pair in own:
                count[pair["hit"]] += 1
                hit = asyncio.run(is_hit(vectors, pair, similarity))
                if pair["hit"]:
                    right += hit
                else:
                    wrong[pair["kind"]] += hit
                    blind += vectors.cosine(pair["a"], pair["b"]) >= similarity
            false = wrong.total()
            print(
                f"{split:10}{similarity:<16}{false} of {count[False]} ({false / count[False]:.2%})"
                f"   {blind} ({blind / count[False]:.1%})"
                f"           {right} of {count[True]} ({right / count[True]:.0%})"
            )
            bad = bad or (similarity == default and false >= MOST_FALSE * count[False])
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED))
