"""Cutting: everything is in a chunk, at exact places, under its heading, and small enough."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate_core.errors import ConfigurationError
from headgate_rag.anchors import Anchors
from headgate_rag.blocks import blocks
from headgate_rag.chunkers.structure import Structure
from headgate_rag.sentences import sentences
from headgate_rag.tokens import count_tokens
from headgate_rag.types import Chunk, Document, Heading


def document(text: str) -> Document:
    anchors = Anchors()
    headings = tuple(
        Heading(b.level, b.title, anchors.add(b.title), b.start)
        for b in blocks(text)
        if b.kind == "heading" and b.title
    )
    return Document("docs/a.md", "Handbook", text, headings)


def cut(text: str, max_tokens: int = 240, overlap_tokens: int = 0) -> list[Chunk]:
    return Structure(max_tokens, overlap_tokens).cut(document(text))


MARKS = ["# One", "## Two", "### Deep", "Title", "=====", "---", "```", "~~~py", "", "- item"]
MARKS += ["1. first", "  more of it", "| a | b |", "|---|---|", "<!-- note", "-->", "> quoted"]
WORDS = st.text("ab Wé.!?`*_#>-|中", min_size=1, max_size=60)
LINES = st.one_of(
    WORDS,
    st.sampled_from(MARKS),
    st.lists(st.sampled_from(["retry", "Budget.", "max_tokens", "x" * 300]), max_size=200).map(
        " ".join
    ),
)
TEXTS = st.lists(LINES, max_size=40).map("\n".join)


@given(TEXTS, st.integers(32, 300), st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_every_word_is_in_a_chunk_and_every_chunk_is_where_it_says(
    text: str, most: int, overlap: int
) -> None:
    source = document(text)
    chunks = Structure(most, overlap).cut(source)
    covered = bytearray(len(text))
    for number, chunk in enumerate(chunks):
        assert chunk.ordinal == number
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip()
        assert chunk.embedded.endswith(chunk.text)
        assert count_tokens(chunk.embedded) <= most
        covered[chunk.start : chunk.end] = b"x" * (chunk.end - chunk.start)
    said = bytearray(len(text))
    for block in blocks(text):
        if block.kind not in {"comment", "heading"} or (
            block.kind == "heading" and not block.title
        ):
            said[block.start : block.end] = b"x" * (block.end - block.start)
    missing = [i for i, c in enumerate(text) if said[i] and not covered[i] and not c.isspace()]
    assert not missing


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_no_chunk_reaches_across_a_heading(text: str) -> None:
    source = document(text)
    for chunk in Structure(60, 15).cut(source):
        inside = [h for h in source.headings if chunk.start < h.start < chunk.end]
        assert not inside
        before = [h for h in source.headings if h.start <= chunk.start]
        assert chunk.anchor == (before[-1].anchor if before else "")


def test_a_chunk_carries_the_trail_of_its_headings() -> None:
    chunks = cut(
        "Intro.\n\n# A\n\nText a.\n\n## B\n\nText b.\n\n### C\n\nText c.\n\n## D\n\nText d.\n"
    )
    assert [(c.text, c.heading, c.anchor) for c in chunks] == [
        ("Intro.", (), ""),
        ("Text a.", ("A",), "a"),
        ("Text b.", ("A", "B"), "b"),
        ("Text c.", ("A", "B", "C"), "c"),
        ("Text d.", ("A", "D"), "d"),
    ]
    assert chunks[3].embedded == "Handbook > A > B > C\n\nText c."


def test_a_section_without_a_body_is_found_by_its_heading() -> None:
    chunks = cut("# A\n\n## Only a heading\n\n## B\n\nText.\n")
    assert [c.text for c in chunks] == ["## Only a heading", "Text."]


def test_lists_tables_and_code_stay_whole_where_they_fit() -> None:
    table = "| a | b |\n|---|---|\n" + "| one. Two. | three |\n" * 5
    code = "```py\nprint('First. Second.')\n\n# no heading\n```"
    items = "- One. Two.\n- Three.\n\n  More of three."
    words = "Words that fill. " * 12
    text = f"# S\n\n{words}\n\n{table}\n{words}\n\n{code}\n\n{words}\n\n{items}\n"
    chunks = cut(text, 110)
    for whole in (table.strip(), code, items):
        assert any(whole in chunk.text for chunk in chunks), whole


def test_a_list_that_does_not_fit_is_cut_between_its_items() -> None:
    items = [f"- Item {n} says something of its own here." for n in range(40)]
    chunks = cut("\n".join(items), 60)
    assert len(chunks) > 5
    for chunk in chunks:
        assert all(line in items for line in chunk.text.splitlines())


def test_neighbours_of_a_section_overlap_by_whole_sentences_and_others_do_not() -> None:
    text = "# A\n\n" + " ".join(f"Sentence {n} is here." for n in range(60)) + "\n\n# B\n\nOther.\n"
    first, second, *_, last = cut(text, 80, 20)
    shared = text[second.start : first.end]
    assert shared.startswith("Sentence")
    assert shared.endswith("here.")
    assert 0 < count_tokens(shared) <= 20
    assert last.text == "Other."


def test_the_budget_counts_long_headings_too() -> None:
    text = f"# {'long ' * 60}\n\n## {'words ' * 60}\n\n" + "Text of the section. " * 100
    assert max(count_tokens(c.embedded) for c in cut(text, 100)) <= 100


@pytest.mark.parametrize(("most", "overlap"), [(10, 0), (100, 51), (100, -1)])
def test_options_that_cannot_be_right_are_refused(most: int, overlap: int) -> None:
    with pytest.raises(ConfigurationError, match="tokens"):
        Structure(most, overlap)


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Use e.g. SQLite. Then go.", ["Use e.g. SQLite.", "Then go."]),
        ("Version 1.2 is out. See v2.", ["Version 1.2 is out.", "See v2."]),
        ("Run `a. B` now. Done.", ["Run `a. B` now.", "Done."]),
        ("It ends (really.) Next.", ["It ends (really.)", "Next."]),
        ("Wrapped\nline. Next\none.", ["Wrapped\nline.", "Next\none."]),
        ("No dot\n\nnew paragraph", ["No dot", "new paragraph"]),
        ("これは文です。次の文。", ["これは文です。", "次の文。"]),
        ("see etc. for more", ["see etc. for more"]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert said(text) == expected
