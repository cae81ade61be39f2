"""An upstream that is cut off never looks complete."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from in_process import Place
from raw_upstream import RawUpstream
from replay import (
    Body,
    json_events,
)
from replay_world import (
    OWN,
    sends,
    with_gateway,
)


def complete(data: bytes) -> bool:
    """Whether a body that the upstream ended properly after these bytes is a whole answer."""
    head, _, rest = data.replace(b"\r\n", b"\n").rpartition(b"\n\n")
    rest = rest.strip()
    try:
        bodies = json_events(head + b"\n\n" + rest)
    except orjson.JSONDecodeError:
        return False
    if rest and not rest.startswith(b"data: {") and rest != b"data: [DONE]":
        return False
    choices = [c for b in bodies for c in b.get("choices") or ()]
    begun = {c["index"] for c in choices}
    return bool(begun) and begun == {c["index"] for c in choices if c.get("finish_reason")}


CUT_OFF = [b for b in OWN if b.name in {"plain", "two choices", "tool calls", "plain, crlf"}]


@pytest.mark.parametrize("body", CUT_OFF, ids=str)
@pytest.mark.parametrize("how", ["cut", "ended"])
def test_a_truncated_upstream_never_becomes_a_done(tmp_path: Path, body: Body, how: str) -> None:
    async def every(place: Place, fake: RawUpstream) -> None:
        for k in range(0, len(body.data), 7 if how == "cut" else 3):
            fake.script = sends([body.data[:k]], end=how == "ended")
            answer = await place.chat("plain", stream=True)
            if how == "ended" and complete(body.data[:k]):
                assert answer.done, (k, answer.body)
                continue
            if b"[DONE]" in body.data[:k]:
                continue  # cut after the last word: nothing is missing
            assert b"[DONE]" not in answer.body, k
            assert answer.error is not None and answer.error["code"] == "upstream_truncated", k
            record = place.records[-1]
            assert (record["outcome"], record["error_code"]) == ("error", "upstream_truncated")
            if answer.text:
                assert record["usage"]["output_tokens"] > 0

    with_gateway(tmp_path, every)
