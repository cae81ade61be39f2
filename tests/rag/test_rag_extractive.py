"""The extractive model: quotes what answers, declines when nothing does, counts honestly."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rag_fakes import WordEmbedder, compared

from headgate_core.context import Context
from headgate_core.errors import ConfigurationError, UpstreamStatus
from headgate_core.ports import ModelRequest, Tools
from headgate_core.reply import Chunk, Done, Event, Reply
from headgate_core.types import Passage, Principal, Purpose
from headgate_gateway.stages.cite import citations
from headgate_rag.nearness import Nearness
from headgate_rag.plain import clean
from headgate_rag.providers.extractive import Extractive
from headgate_rag.statements import statements
from headgate_rag.words import names, stem

DECLINED = "The documents do not answer this question."


class Embedder:
    """Texts that share words are near each other; remembers who asked and why."""

    def __init__(self) -> None:
        self.model = WordEmbedder(size=2048)
        self.asked: list[tuple[Purpose, str]] = []

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, principal: Principal
    ) -> list[list[float]]:
        self.asked.append((purpose, principal.key_id))
        return self.model.encode(texts)

    async def nearest(self, question: str, texts: Sequence[str], principal: Principal) -> Nearness:
        self.asked.append((Purpose.EMBED, principal.key_id))
        return compared(question, texts)


def passage(heading: str, text: str, title: str = "Guide") -> Passage:
    return Passage(heading, "docs/a.md", text, 0, len(text), title=title, heading=(heading,))


PASSAGES = [
    passage("Budgets", "A budget has a period. A hard budget refuses calls once it is spent."),
    passage(
        "Retries", "A failed call is tried twice. It waits **half a second** between tries [7]."
    ),
    passage(
        "Keys", "Create a key with `headgate keys create`:\n\n```\nheadgate keys create ci\n```\n"
    ),
]


def ask(
    question: str, passages: Sequence[Passage] = PASSAGES, **more: Any
) -> tuple[Reply, list[Event]]:
    body = {"messages": [{"role": "user", "content": question}], **more.pop("body", {})}
    context = Context(
        route="docs",
        request=body,
        query=more.pop("query", question),
        passages=list(passages),
        principal=Principal("key-1"),
    )
    return drain(ModelRequest(body, more.pop("stream", False), context=context), **more)


def drain(request: ModelRequest, **options: Any) -> tuple[Reply, list[Event]]:
    model = Extractive(**options)
    embedder = Embedder()
    model.bind(cast(Tools, SimpleNamespace(embedder=embedder)))

    async def run() -> tuple[Reply, list[Event]]:
        reply = await model.chat(request, "extractive")
        return reply, [event async for event in reply.events]

    result = asyncio.run(run())
    assert set(embedder.asked) <= {(Purpose.EMBED, "key-1")}
    return result


def text_of(events: list[Event]) -> str:
    assert isinstance(events[0], Chunk)
    return str(events[0].body["choices"][0]["message"]["content"])


def answer(question: str, passages: Sequence[Passage] = PASSAGES, **more: Any) -> str:
    return text_of(ask(question, passages, **more)[1])


def test_the_sentence_that_answers_is_quoted_with_the_number_of_its_passage() -> None:
    assert "A hard budget refuses calls once it is spent. [1]" in answer(
        "When does a hard budget refuse calls?"
    )


def test_the_number_follows_the_order_of_the_passages() -> None:
    turned = answer("When does a hard budget refuse calls?", PASSAGES[::-1])
    assert "A hard budget refuses calls once it is spent. [3]" in turned


def test_a_sentence_that_leans_on_the_one_before_brings_it_along() -> None:
    found = answer("How long is the wait between tries of a failed call?", sentences=1)
    assert found.startswith("A failed call is tried twice. It waits half a second between tries")


def test_numbers_in_brackets_of_a_document_are_not_taken_for_citations() -> None:
    found = answer("How long is the wait between tries of a failed call?")
    assert "(7)" in found
    assert set(re.findall(r"\[(\d+)\]", found)) <= {"1", "2", "3"}


@pytest.mark.parametrize("marker", ["[1, 3]", "[2]", "[ 1 ]", "[1 ,2,3]", "[12]"])
def test_no_text_of_a_document_is_recognised_as_a_citation(marker: str) -> None:
    text = f"A hard budget refuses calls once it is spent, as others said {marker} before."
    found = answer("When does a hard budget refuse calls?", [passage("Budgets", text)])
    assert found.endswith("[1]")
    assert [c.at[1] for c in citations(found, PASSAGES)] == [len(found)]


def test_code_comes_with_the_sentence_that_introduces_it() -> None:
    assert "headgate keys create ci [3]" in answer("How do I create a key?")


@pytest.mark.parametrize(
    "question",
    [
        "What is the boiling point of mercury?",
        "Who is the chief executive officer?",
        "Does a hard budget work with Kafka?",
        "",
    ],
)
def test_a_question_that_no_passage_answers_is_declined_without_a_citation(question: str) -> None:
    assert answer(question) == DECLINED


def test_without_passages_it_declines_and_embeds_nothing() -> None:
    assert answer("When does a hard budget refuse calls?", []) == DECLINED
    no_context = ModelRequest({"messages": [{"role": "user", "content": "Anything?"}]})
    assert text_of(drain(no_context)[1]) == DECLINED


def test_the_prompt_is_never_read_for_passages() -> None:
    asked = "What colour is the box?"
    body = {"messages": [{"role": "user", "content": f"[1] The box is blue.\n\n{asked}"}]}
    context = Context(
        route="docs",
        request={"messages": [{"role": "user", "content": asked}]},
        query=asked,
        passages=PASSAGES,
        principal=Principal("key-1"),
    )
    assert text_of(drain(ModelRequest(body, context=context))[1]) == DECLINED


def test_the_last_turn_counts_when_the_query_joins_all_turns() -> None:
    earlier = "Tell me a story about dragons and castles please. Who won the cup in Spain? "
    question = "When does a hard budget refuse calls?"
    assert "[1]" in answer(question, query=earlier + question)


def test_the_same_question_gets_the_same_answer() -> None:
    question = "How long is the wait between tries of a failed call?"
    assert len({answer(question) for _ in range(3)}) == 1


def test_usage_counts_what_was_read_and_written() -> None:
    reply, events = ask("When does a hard budget refuse calls?", PASSAGES[:1], sentences=1)
    body = cast(Chunk, events[0]).body
    # Read: 7 words and a mark, 14 words and 2 marks. Written: 9 words, a dot, and "[", "1", "]".
    assert body["usage"] == {"prompt_tokens": 24, "completion_tokens": 13, "total_tokens": 37}
    assert reply.facts.usage is not None
    assert (reply.facts.usage.input_tokens, reply.facts.usage.output_tokens) == (24, 13)
    assert not reply.facts.usage.estimated


def test_a_whole_reply_is_one_chat_completion() -> None:
    reply, events = ask("When does a hard budget refuse calls?")
    chunk, done = events
    assert isinstance(chunk, Chunk)
    assert isinstance(done, Done)
    assert chunk.body["object"] == "chat.completion"
    assert chunk.body["choices"][0]["finish_reason"] == "stop"
    assert reply.facts.finish_reasons == ["stop"]
    assert reply.facts.response_id == chunk.body["id"]
    assert reply.facts.output_characters == len(text_of(events))


def test_a_stream_says_the_same_word_by_word() -> None:
    question = "How do I create a key?"
    body = {"stream_options": {"include_usage": True}}
    reply, events = ask(question, stream=True, body=body)
    *chunks, done = events
    assert isinstance(done, Done)
    bodies = [cast(Chunk, c).body for c in chunks]
    assert {b["object"] for b in bodies} == {"chat.completion.chunk"}
    assert len({(b["id"], b["created"], b["model"]) for b in bodies}) == 1
    first, *deltas, finish, usage = bodies
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    pieces = [b["choices"][0]["delta"]["content"] for b in deltas]
    assert "".join(pieces) == answer(question)
    assert len(pieces) > 5
    assert finish["choices"][0]["delta"] == {}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 0
    assert all(b["usage"] is None for b in bodies[:-1])
    assert reply.facts.content
    assert reply.facts.output_characters == len("".join(pieces))


def test_without_being_asked_a_stream_has_no_usage_chunk() -> None:
    _, events = ask("How do I create a key?", stream=True)
    bodies = [e.body for e in events if isinstance(e, Chunk)]
    assert all("usage" not in b and b["choices"] for b in bodies)


def test_the_token_limit_is_kept_and_said() -> None:
    _, events = ask("When does a hard budget refuse calls?", body={"max_tokens": 3})
    body = cast(Chunk, events[0]).body
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("body", [{"n": 2}, {"response_format": {"type": "json_object"}}])
def test_what_it_cannot_do_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(UpstreamStatus) as caught:
        ask("When does a hard budget refuse calls?", body=body)
    assert caught.value.http_status == 400
    assert not caught.value.worth_retrying


def test_options_that_cannot_be_right_are_refused() -> None:
    for options in ({"min_confidence": 2}, {"sentences": 0}, {"decline": " "}):
        with pytest.raises(ConfigurationError):
            Extractive(**cast(Any, options))


def stated(text: str) -> list[str]:
    return [s.text for s in statements(1, passage("H", text))]


def test_list_items_and_table_rows_are_statements_of_their_own() -> None:
    assert stated("Exit codes:\n\n- 0 ok\n- 1 the thing failed badly this time here\n") == [
        "Exit codes: 0 ok; 1 the thing failed badly this time here.",
        "Exit codes: 0 ok",
        "1 the thing failed badly this time here",
    ]
    assert stated("| code | meaning |\n|---|---|\n| 429 | too *many* calls |\n") == [
        "429: too many calls"
    ]


def test_what_only_links_elsewhere_states_nothing() -> None:
    assert stated("- [Install](#install)\n- [Use it](#use)\n\nReal words here.") == [
        "Real words here."
    ]


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("**Bold** and _soft_ and `a_b_c` x", "Bold and soft and a_b_c x"),
        ("see [the guide](a.md#b) or <https://e.org>", "see the guide or https://e.org"),
        ("![logo](x.png) text<br/>more", "logo textmore"),
        ("> quoted\n> twice", "quoted twice"),
        ("- [x] done", "done"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        (r"a \* b `\n`", r"a * b \n"),
    ],
)
def test_markdown_marks_go_and_words_stay(marked: str, plain: str) -> None:
    assert clean(marked) == plain


def test_words_of_one_family_share_a_stem() -> None:
    assert len({stem(w) for w in ("retry", "retries", "retried")}) == 1
    assert len({stem(w) for w in ("budget", "budgets", "Budgeting")}) == 1


def test_names_are_told_from_words_that_open_a_sentence() -> None:
    assert names("How do I connect Headgate to Kafka?") == [stem("headgate"), stem("kafka")]
    assert names("Which keys are there? They expire.") == []
    assert names("How Are The Retries Decided") == []
