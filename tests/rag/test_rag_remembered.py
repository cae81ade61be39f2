"""Vectors that are embedded once and used again."""

from __future__ import annotations

from headgate_rag.process.remembered import Remembered


def test_only_unknown_texts_are_asked_for_once_each_and_short_ones_first() -> None:
    memory = Remembered()
    assert memory.missing("m", ["long text", "b", "b"]) == ["b", "long text"]
    memory.keep("m", ["b"], [[0.5, 1.0]])
    assert memory.missing("m", ["long text", "b"]) == ["long text"]
    assert memory.missing("other", ["b"]) == ["b"]
    assert memory.vectors("m", ["b", "b"]) == [[0.5, 1.0], [0.5, 1.0]]


def test_the_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    memory = Remembered(most=2)
    for text in ("a", "b", "c"):
        memory.keep("m", [text], [[1.0]])
    memory.vectors("m", ["a"])
    assert memory.missing("m", ["a", "b", "c"]) == ["b"]
