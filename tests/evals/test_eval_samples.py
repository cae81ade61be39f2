from __future__ import annotations

from typing import cast

import pytest
from fake_eval_gateway import Answer, finished

from headgate_core.errors import Blocked, UpstreamTimeout
from headgate_core.records import CallRecord
from headgate_core.reply import Done, Events, Facts, Reply
from headgate_core.types import Usage
from headgate_evals.samples import make_sample


async def _no_events() -> Events:
    yield Done()


def test_the_question_is_what_was_searched_for_else_the_last_user_message() -> None:
    ctx = finished(Answer())
    assert make_sample(ctx).question == "How are retries decided?"
    ctx.query = "retries decided"
    assert make_sample(ctx).question == "retries decided"


def test_the_text_parts_of_a_multimodal_message_are_the_question() -> None:
    ctx = finished(Answer())
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    ctx.request["messages"] = [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]},
        {"role": "assistant", "content": "Hm."},
    ]
    assert make_sample(ctx).question == "What is this?"


def test_a_reply_that_passed_by_unread_has_no_answer_rather_than_an_empty_one() -> None:
    ctx = finished(Answer("", passages=()))
    assert make_sample(ctx).answer == ""
    ctx.reply = Reply(stream=True, events=_no_events(), facts=Facts(content=True))
    assert make_sample(ctx).answer is None


def test_times_come_from_streams_only_where_there_is_a_first_token() -> None:
    ctx = finished(Answer())
    ctx.first_content_ns = ctx.started_ns + 1_000_000
    assert make_sample(ctx).first_token_s is None
    ctx.stream = True
    assert make_sample(ctx).first_token_s == pytest.approx(0.001)


def test_the_rate_is_the_tokens_after_the_first_one_over_their_time() -> None:
    ctx = finished(Answer())
    ctx.stream, ctx.usage = True, Usage(12, 7)
    ctx.record = cast(CallRecord, {"duration_ms": 3500.0, "first_token_ms": 500.0})
    assert make_sample(ctx).output_tokens_per_s == 2.0
    ctx.usage = Usage(12, 1)
    assert make_sample(ctx).output_tokens_per_s is None


def test_a_guards_refusal_is_no_failure_even_as_an_error() -> None:
    sample = make_sample(finished(Answer("", error=Blocked("no"))))
    assert (sample.refused, sample.failed) == (True, False)


def test_an_upstream_error_is_a_failure() -> None:
    sample = make_sample(finished(Answer("", error=UpstreamTimeout("late"))))
    assert (sample.refused, sample.failed) == (False, True)


def test_an_unknown_price_is_no_amount() -> None:
    assert make_sample(finished(Answer(unpriced=True))).cost_pico is None
    assert make_sample(finished(Answer(cost_pico=5))).cost_pico == 5
