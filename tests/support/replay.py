"""Recorded and self-written upstream bodies, cut at every class of position."""

from __future__ import annotations

import itertools
import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from upstream import USAGE, chunk, sse

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HEADGATE_DATA") or ROOT.parent / "shared" / "data") / "wire"
"""Where the recorded bodies lie; without them the self-written ones have to do."""

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Body:
    """One upstream reply. ``meta`` as recorded."""

    name: str
    data: bytes
    meta: Json

    def __repr__(self) -> str:
        return self.name


def recorded(kind: str) -> list[Body]:
    """All recorded replies of this kind; none where they are not at hand."""
    index = DATA / "index.jsonl"
    if not index.exists():
        return []
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    return [
        Body(Path(r["file"]).stem, (DATA / r["file"]).read_bytes(), r)
        for r in rows
        if r["kind"] == kind
    ]


def recorded_chat_streams() -> list[Body]:
    """Recorded streams that speak OpenAI's chat wire and ended well."""
    return [
        b
        for b in recorded("sse")
        if b"chat.completion.chunk" in b.data and b'"finish_reason":null}' not in b.data[-60:]
        if not any(e.get("error") for e in json_events(b.data))
    ]


def json_events(data: bytes) -> list[Json]:
    """The JSON of each event, read in the plainest way there is: the oracle of these tests."""
    text = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events = [re.findall(rb"^data: ?(.*)$", e, re.MULTILINE) for e in text.split(b"\n\n")]
    return [orjson.loads(b"\n".join(e)) for e in events if e and e != [b"[DONE]"]]


def expected_chunks(data: bytes, asked: bool) -> list[Json]:
    """What the client of a byte-forwarding route must get: usage once at the end, if asked."""
    chunks: list[Json] = []
    last: Json | None = None
    for body in json_events(data):
        if body.get("usage"):
            last = body
            if not body.get("choices"):
                continue
            body = {k: v for k, v in body.items() if k != "usage"} | (
                {"usage": None} if asked else {}
            )
        chunks.append(body)
    if asked and last is not None:
        own = {k: last[k] for k in _ENVELOPE if k in last} | {"choices": [], "usage": last["usage"]}
        chunks.append(own if last.get("choices") else last)
    return chunks


_ENVELOPE = ("id", "object", "created", "model", "system_fingerprint")


def splits(data: bytes, seed: int = 0) -> Iterator[tuple[str, list[bytes]]]:
    """Named ways to cut ``data``; the pieces of each join to ``data`` again."""
    yield "coalesced", [data]
    places = {
        "inside utf-8": [m.start() + 1 for m in re.finditer(rb"[\xc2-\xf4][\x80-\xbf]", data)],
        "inside data:": [m.start() + 3 for m in re.finditer(rb"data:", data)],
        "before the value": [m.end() for m in re.finditer(rb"data:", data)],
        "between line ends": [m.start() + 1 for m in re.finditer(rb"\r\n|\n\n|\r\r", data)],
        "before line ends": [m.start() for m in re.finditer(rb"[\r\n]+", data)],
        "after events": [m.end() for m in re.finditer(rb"\r\n\r\n|\n\n|\r\r", data)],
    }
    for name, at in places.items():
        if at:
            yield name, cut(data, at)
    source = random.Random(seed)
    for n in range(3):
        count = min(len(data), 2 + 12 * n)
        yield f"random {n}", cut(data, sorted(source.sample(range(len(data)), count)))
    if len(data) <= 3000:
        yield "one byte at a time", [data[i : i + 1] for i in range(len(data))]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """``data`` in pieces that begin at these positions."""
    edges = [0, *at, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if b > a]


def _tool(index: int | None, **function: str) -> bytes:
    call: Json = {"function": function}
    if index is not None:
        call |= {"index": index}
    return sse(chunk({"tool_calls": [call]}))


def own_bodies() -> list[Body]:
    """Self-written streams of every shape that the recorded ones show, and worse."""
    role, finish = sse(chunk({"role": "assistant", "content": ""})), sse(chunk({}, "stop"))
    text = [sse(chunk({"content": t})) for t in ("Grüß ", "dich, ", "日本 ", "🙂!")]
    plain = [role, *text, finish]
    usage = sse(USAGE)
    early: Json = {**USAGE, "usage": {"prompt_tokens": 11, "completion_tokens": 1}}
    in_finish = {**chunk({}, "stop"), "usage": USAGE["usage"]}
    in_each = [sse({**chunk({"content": t}), "usage": early["usage"]}) for t in ("a", "b")]
    shapes: dict[str, list[bytes]] = {
        "plain": [*plain, usage, DONE],
        "no usage": [*plain, DONE],
        "no done": [*plain, usage],
        "no last line end": [*plain, usage, b"data: [DONE]"],
        "usage twice": [*plain, sse(early), usage, DONE],
        "usage first": [role, sse(early), *text, finish, usage, DONE],
        "usage in the finish chunk": [role, *text, sse(in_finish), DONE],
        "usage in every chunk": [role, *in_each, sse(in_finish), DONE],
        "usage in and after": [role, *text, sse(in_finish), usage, DONE],
        "comments": [b": hello\n\n", role, b": still here\n\n", *text, finish, usage, DONE],
        "comment in an event": [b": x\n" + role, *text, finish, usage, DONE],
        "event and id lines": [b"event: message\nid: 1\n" + e for e in plain] + [usage, DONE],
        "bom": [b"\xef\xbb\xbf", *plain, usage, DONE],
        "no space after data:": [e.replace(b"data: ", b"data:") for e in [*plain, usage, DONE]],
        "blank lines": [b"\n\n", *[e + b"\n" for e in plain], usage, DONE],
        "two choices": [
            sse(
                {
                    **chunk({"content": "x"}),
                    "choices": [
                        {"index": i, "delta": {"content": str(i)}, "finish_reason": None}
                        for i in (0, 1)
                    ],
                }
            ),
            finish,
            sse({**chunk({}), "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}),
            usage,
            DONE,
        ],
        "tool calls": [
            role,
            _tool(0, name="f", arguments=""),
            _tool(0, arguments='{"a'),
            _tool(1, name="g", arguments="{}"),
            _tool(0, arguments='":1}'),
            sse(chunk({}, "tool_calls")),
            usage,
            DONE,
        ],
        "tool calls without index": [
            role,
            _tool(None, name="f", arguments='{"a'),
            sse(chunk({})),
            _tool(None, arguments='":1}'),
            sse(chunk({"tool_calls": []}, "tool_calls")),
            usage,
            DONE,
        ],
        "words after the finish": [*plain, sse(chunk({"content": ""})), usage, DONE],
    }
    found = [Body(name, b"".join(events), {}) for name, events in shapes.items()]
    framed = [("crlf", b"\r\n"), ("cr", b"\r")]
    for name, end in framed:
        found += [Body(f"{b.name}, {name}", b.data.replace(b"\n", end), {}) for b in found[:19]]
    return found
