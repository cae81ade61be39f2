"""What the extractive model reads from a question before it looks at any passage."""

from __future__ import annotations

import pytest

from headgate_rag.asked import read
from headgate_rag.words import Weights, forms, stem


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("What should we back up?", "A backup holds the store."),
        ("How do I roll it back?", "A rollback takes one command."),
        ("Is a backup made?", "Back up the store first."),
        ("How do I set up a key?", "Setup takes one key."),
    ],
)
def test_a_verb_with_its_particle_is_the_word_written_together(question: str, text: str) -> None:
    held = forms(text)
    asked = read(question, [held])
    weights = Weights([held])
    assert asked.overlap(weights, held) > asked.overlap(weights, {"stor", "command"})
    assert asked.overlap(weights, held) == 1.0


def test_a_name_that_most_passages_mention_is_left_out_of_the_meaning() -> None:
    passages = [{"headgat", "key"}, {"headgat", "budget"}, {"rout"}]
    asked = read("How many teams use Headgate with Kafka?", passages)
    assert asked.plain == "How many teams use with Kafka?"
    assert asked.unknown == {"kafka"}
    assert asked.focus == stem("teams")
    assert read("What is Headgate?", passages).plain == "What is Headgate?"


def test_an_unknown_name_weighs_as_much_as_it_is_of_the_question() -> None:
    passages = [forms("Markdown, HTML and plain text files are read when documents are ingested.")]
    weights = Weights(passages)
    one = read("Which file types can I ingest, for example PDF or HTML?", passages)
    all_ = read("Does it speak SAML or OIDC?", passages)
    assert 0 < one.unknown_share(weights) < 0.5 < all_.unknown_share(weights)


@pytest.mark.parametrize(
    ("question", "statement", "misses"),
    [
        ("How many attempts are made?", "It tries again and again.", True),
        ("How many attempts are made?", "Two attempts are made.", False),
        ("When was it founded?", "It was founded in 1990.", True),
        ("When are keys revoked?", "Keys are revoked by a command.", False),
    ],
)
def test_a_question_for_a_figure_wants_one(question: str, statement: str, misses: bool) -> None:
    assert read(question, []).misses_kind(statement) is misses


@pytest.mark.parametrize(
    ("question", "statement", "other"),
    [
        ("How many calls per second can it take?", "A limit holds for any 60 seconds.", True),
        ("How many calls per second can it take?", "It takes 300 calls per second.", False),
        ("How many calls an hour may I make?", "A key may make 60 calls per minute.", True),
        ("What is a limit per minute?", "It bounds calls.", False),
    ],
)
def test_a_rate_is_stated_by_a_rate_of_its_unit_alone(
    question: str, statement: str, other: bool
) -> None:
    assert read(question, []).other_rate(statement) is other
