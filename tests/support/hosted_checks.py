"""What must be true of a hosted provider's stream, whole and cut off."""

from __future__ import annotations

import random

import pytest
from hosted_bodies import Dialect
from hosted_world import calls_of, clean, streams
from in_process import Answer, Place
from raw_upstream import RawUpstream
from replay import cut

SDK_WARNINGS = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
"""The SDK uses pydantic in ways that it warns of."""


def checked(answer: Answer, one: Dialect, what: object) -> None:
    """The answer is a stream that was cut off, told in words that a caller can read."""
    assert not answer.done and b"[DONE]" not in answer.body, (one, what)
    assert answer.error is not None, (one, what)
    assert answer.error["code"] == "upstream_truncated", (one, what, answer.error)
    assert clean(answer.error["message"]), answer.error
    if answer.status == 200:
        reasons = [c.get("finish_reason") for b in answer.chunks for c in b.get("choices") or ()]
        assert not any(reasons), (one, what)


async def unbroken(place: Place, fake: RawUpstream, one: Dialect, data: bytes, n: int) -> None:
    """The stream arrives whole, and the same in ``n`` ways to cut it into pieces."""
    source = random.Random(len(data))
    fake.script = streams(one, [data])
    first = await place.chat(one.name, stream=True, stream_options={"include_usage": True})
    assert first.status == 200 and first.done, (one, first.body[-400:])
    assert first.text == one.text(data)
    usage = place.records[-1]["usage"]
    assert not usage["estimated"] and usage["output_tokens"] > 0
    assert [c["choices"] for c in first.chunks if c.get("usage")] == [[]]
    for _ in range(n):
        places = sorted(source.sample(range(1, len(data)), min(40, len(data) - 1)))
        fake.script = streams(one, cut(data, places))
        again = await place.chat(one.name, stream=True)
        assert again.done and again.text == first.text and calls_of(again) == calls_of(first)
        assert place.records[-1]["usage"] == usage
        assert not any(c.get("usage") for c in again.chunks)


async def broken(place: Place, fake: RawUpstream, one: Dialect, data: bytes, at: list[int]) -> None:
    """Wherever the stream is cut off, nobody takes it for whole."""
    for k in at:
        fake.script = streams(one, [data[:k]], end=False)
        if not one.closed or one.closed not in data[:k]:
            checked(await place.chat(one.name, stream=True), one, (k, "broken"))
        fake.script = streams(one, [data[:k]])
        if k <= one.begun(data):
            checked(await place.chat(one.name, stream=True), one, (k, "ended"))
            assert place.records[-1]["outcome"] == "error"
