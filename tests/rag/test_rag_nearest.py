"""Comparing a question with texts word by word: the operation, its memory and its numbers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rag_fakes import WordEmbedder

from headgate_core.errors import ServiceError
from headgate_rag.nearness import Nearness
from headgate_rag.process.handler import IndexProcess, create
from headgate_rag.process.nearest import nearest, read_tokens
from headgate_rag.process.token_memory import TokenMemory
from headgate_rag.types import Tokens


def tokens(count: int, width: int = 8) -> Tokens:
    return Tokens(
        tuple((n, n + 1) for n in range(count)), np.ones((count, width), dtype=np.float16)
    )


def compared(question: str, texts: list[str]) -> dict[str, Any]:
    asked, *read = read_tokens(WordEmbedder(size=2048), [question, *texts])
    return nearest(asked, read)


def test_a_model_without_token_vectors_is_asked_for_each_word_by_itself() -> None:
    found = compared("keys expire", ["All keys are listed.", "Nothing."])
    assert found == {"spans": [[0, 4], [5, 11]], "nearest": [[1.0, 0.0], [0.0, 0.0]]}


def test_a_text_without_a_token_is_near_to_nothing() -> None:
    assert compared("keys", [""])["nearest"] == [[0.0]]
    assert compared("", ["keys"])["nearest"] == [[]]


def test_pieces_of_a_word_count_as_one_word_and_names_can_be_left_out() -> None:
    question = "Does Headgate retry?"
    spans = [(0, 4), (5, 9), (9, 13), (14, 16), (16, 19), (19, 20)]
    near = Nearness(spans, [[0.9, 0.2, 0.4, 0.5, 0.7, 0.1]])
    assert near.words(question, []) == [("headgate", [1, 2]), ("retry", [3, 4])]
    assert near.words(question, ["headgate"]) == [("retry", [3, 4])]
    assert near.of_words(0, near.words(question, [])) == pytest.approx([0.3, 0.6])
    assert near.weakest(0) == pytest.approx(0.15)


def test_the_memory_is_bounded_in_bytes_and_keeps_what_was_used_last() -> None:
    memory = TokenMemory(most_bytes=2 * 10 * 8 * 2)
    for text in ("a", "b", "c"):
        memory.keep("m", [text], [tokens(10)])
    memory.tokens("m", ["a"])
    assert memory.missing("m", ["a", "b", "c"]) == ["b"]
    assert memory.bytes <= 2 * 10 * 8 * 2
    assert memory.missing("other", ["a"]) == ["a"]


def test_the_same_text_kept_twice_is_counted_once() -> None:
    memory = TokenMemory()
    memory.keep("m", ["a"], [tokens(10)])
    memory.keep("m", ["a"], [tokens(5)])
    assert memory.bytes == 5 * 8 * 2


def test_one_text_over_the_bound_is_answered_and_then_forgotten() -> None:
    memory = TokenMemory(most_bytes=8)
    memory.keep("m", ["a"], [tokens(10)])
    assert len(memory.tokens("m", ["a"])[0].vectors) == 10
    assert memory.bytes == 0


def test_vectors_that_are_none_are_refused() -> None:
    class Broken(WordEmbedder):
        def tokens(self, texts: list[str]) -> list[Tokens]:
            return [Tokens(((0, 1),), np.array([[np.nan]])) for _ in texts]

    with pytest.raises(ServiceError, match="token vectors"):
        read_tokens(Broken(), ["a"])


def asked(process: IndexProcess, question: str, texts: list[str]) -> dict[str, Any]:
    args = {"question": question, "texts": texts, "embedder": {"use": "minilm"}}
    found: dict[str, Any] = asyncio.run(process.handle("nearest", args))
    return found


@pytest.mark.slow
def test_the_index_process_compares_in_context_and_remembers_the_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentence_transformers")
    process = create(tmp_path, {})
    question = "Does a restart empty the cache?"
    texts = ["Kept answers are lost when the process starts again.", "Bananas are yellow. " * 200]
    first = asked(process, question, texts)
    assert [question[a:b] for a, b in first["spans"]][:3] == ["Does", "a", "restart"]
    restart = [row[2] for row in first["nearest"]]
    assert restart[0] > restart[1] + 0.1

    read: list[str] = []

    def spying(model: Any, batch: list[str]) -> list[Tokens]:
        read.extend(batch)
        return read_tokens(model, batch)

    monkeypatch.setattr("headgate_rag.process.handler.read_tokens", spying)
    assert asked(process, question, texts) == first
    assert asked(process, "Are bananas yellow?", texts)["nearest"] != first["nearest"]
    assert read == ["Are bananas yellow?"]
    asyncio.run(process.close())


@pytest.mark.slow
def test_a_text_over_the_window_is_read_to_its_end() -> None:
    pytest.importorskip("sentence_transformers")
    from headgate_rag.embedders.minilm import MiniLM

    text = "filler words here " * 300 + "zebra"
    model = MiniLM()
    question, long, short = read_tokens(model, ["zebra", text, "filler words here"])
    assert text[slice(*long.spans[-2])] + text[slice(*long.spans[-1])] in {"zebra", "herezebra"}
    far, near = nearest(question, [short, long])["nearest"]
    assert min(near) > min(far) + 0.1
