"""One answer of a model, whole and as streams of every shape that servers send."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from upstream import chunk, completion, sse

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"
_WORDS = ("Grüß", " dich", ",", " 日本", " 🙂", " plain", "\n", ' "quoted"', " \\ ", "{}", "a")


@dataclass
class Said:
    """What a model says: its message, why it ended, and the usage that it reports, if any."""

    message: Json
    usage: Json | None
    finish: str = "stop"
    seed: int = 0

    @property
    def whole(self) -> bytes:
        """The answer that is not streamed."""
        body = completion("")
        body["choices"][0] |= {"message": self.message, "finish_reason": self.finish}
        del body["usage"]
        return orjson.dumps(body | ({"usage": self.usage} if self.usage is not None else {}))

    @property
    def deltas(self) -> list[Json]:
        """The message in small pieces, in order; always the same ones."""
        source = random.Random(self.seed)
        found: list[Json] = []
        for member in ("reasoning_content", "content"):
            found += [{member: text} for text in cut(source, self.message.get(member) or "")]
        for index, call in enumerate(self.message.get("tool_calls") or ()):
            head = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
            found.append({"tool_calls": [head]})
            for text in cut(source, call["function"]["arguments"]):
                found.append({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
        return found


def cut(source: random.Random, text: str) -> list[str]:
    """A text in pieces of 1 to 7 characters."""
    pieces = []
    while text:
        size = source.randint(1, 7)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def said(seed: int, *, reports: bool = True, tools: bool = False) -> Said:
    """An answer made from a seed, always the same."""
    source = random.Random(seed)
    message: Json = {"role": "assistant", "content": _text(source, 12)}
    if source.random() < 0.3:
        message["reasoning_content"] = _text(source, 6)
    calls = source.randint(1, 4) if tools else source.choice([0, 0, 1])
    if calls:
        message["tool_calls"] = [_call(source, n) for n in range(calls)]
        message["content"] = None if tools else message["content"]
    usage = _usage(source) if reports else None
    return Said(message, usage, "tool_calls" if calls else "stop", seed)


def _text(source: random.Random, words: int) -> str:
    return "".join(source.choices(_WORDS, k=source.randint(1, words)))


def _call(source: random.Random, number: int) -> Json:
    value = {f"k{n}": _text(source, 4) for n in range(source.randint(0, 3))}
    arguments = orjson.dumps({**value, "n": source.randint(0, 10**6)}).decode()
    function = {"name": f"tool_{number}", "arguments": arguments}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _usage(source: random.Random) -> Json:
    sent, written = source.randint(1, 5000), source.randint(1, 900)
    return {
        "prompt_tokens": sent,
        "completion_tokens": written,
        "total_tokens": sent + written,
        "prompt_tokens_details": {"cached_tokens": source.randint(0, sent)},
        "completion_tokens_details": {"reasoning_tokens": source.randint(0, written)},
    }


def _with(body: Json, usage: Json | None) -> bytes:
    return sse(body | ({"usage": usage} if usage is not None else {}))


def _alone(usage: Json | None) -> list[bytes]:
    return [] if usage is None else [sse({**chunk({}), "choices": [], "usage": usage})]


def _partial(usage: Json | None) -> Json | None:
    return None if usage is None else {**usage, "completion_tokens": 1, "total_tokens": 1}


def _plain(s: Said, usage: Json | None = None) -> list[bytes]:
    """Role and text, without an end."""
    return [_with(chunk(d), usage) for d in ({"role": "assistant", "content": ""}, *s.deltas)]


def _end(s: Said, usage: Json | None = None) -> bytes:
    return _with(chunk({}, s.finish), usage)


def _two_at_once(s: Said) -> bytes:
    events = [*_plain(s), _end(s), *_alone(s.usage), DONE]
    return b"".join(events)


SHAPES: dict[str, Callable[[Said], bytes]] = {
    "usage after the finish": _two_at_once,
    "usage in the finish chunk": lambda s: b"".join([*_plain(s), _end(s, s.usage), DONE]),
    "usage in every chunk": lambda s: b"".join(
        [*_plain(s, _partial(s.usage)), _end(s, s.usage), DONE]
    ),
    "usage twice": lambda s: b"".join([*_plain(s), _end(s, s.usage), *_alone(s.usage), DONE]),
    "usage before and after": lambda s: b"".join(
        [*_alone(_partial(s.usage)), *_plain(s), _end(s), *_alone(s.usage), DONE]
    ),
    "usage before the finish": lambda s: b"".join([*_plain(s), *_alone(s.usage), _end(s), DONE]),
    "usage null until the end": lambda s: b"".join(
        [
            *(sse(chunk(d) | {"usage": None}) for d in s.deltas),
            _end(s),
            *_alone(s.usage),
            DONE,
        ]
    ),
    "text and finish in one chunk": lambda s: b"".join(
        [*_plain(s)[:-1], sse(chunk(s.deltas[-1], s.finish)), *_alone(s.usage), DONE]
    ),
    "no [DONE]": lambda s: b"".join([*_plain(s), _end(s), *_alone(s.usage)]),
    "carriage returns": lambda s: _two_at_once(s).replace(b"\n", b"\r\n"),
    "comments and empty deltas": lambda s: b"".join(
        [b": hello\n\n" + e + sse(chunk({})) for e in [*_plain(s), _end(s)]]
        + [*_alone(s.usage), DONE]
    ),
    "all in one chunk": lambda s: b"".join(
        [sse(chunk({k: v for k, v in s.message.items() if v})), _end(s), *_alone(s.usage), DONE]
    ),
    "event names and ids": lambda s: b"".join(
        [b"event: message\nid: 7\n" + e for e in [*_plain(s), _end(s), *_alone(s.usage)]] + [DONE]
    ),
}
"""How servers stream the same answer."""
