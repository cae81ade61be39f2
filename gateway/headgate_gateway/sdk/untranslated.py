"""Which member of a request keeps the SDK from sending anything, or whether it is none of them.

The SDK raises the same exceptions for a message that it cannot translate and for an account that
is not set up. So it is asked for less, on a wire that lets nothing out: what it would send with
the plainest words of ours, it does not send because of the caller's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from copy import deepcopy
from typing import Any

from headgate_core.types import Json
from headgate_gateway.sdk.wire import Wire

_PLAIN: Json = {
    "messages": [{"role": "user", "content": "hi"}],
    "input": "hi",
    "query": "hi",
    "documents": ["hi"],
}
"""What a request cannot be without, as every model takes it."""
_OURS = frozenset({"model", "stream", "stream_options"})
_LATER = ("tool_choice", "function_call", "messages")
"""Members that refer to others, and cannot be translated without them."""


async def culprit(
    function: Callable[..., Awaitable[Any]],
    arguments: Json,
    asked: Collection[str],
    owner: str,
) -> str | None:
    """The first of the members ``asked`` with which the SDK sends nothing; empty = no single one.

    None = it sends nothing without them either, so the caller can mend nothing.
    """
    theirs = sorted((k for k in arguments if k in asked and k not in _OURS), key=_order)

    async def sends(count: int) -> bool:
        left_out = theirs[count:]
        less = {k: v for k, v in arguments.items() if k not in left_out and k != "stream_options"}
        less |= {k: v for k, v in _PLAIN.items() if k in left_out}
        if "stream" in less:
            less["stream"] = False
        wire = Wire(owner, dry=True)
        with suppress(Exception), wire.listening():  # whatever it is, the question is how far
            await function(**deepcopy(less))
        return wire.asked

    if not await sends(0):
        return None
    if await sends(len(theirs)):
        return ""
    good, bad = 0, len(theirs)
    while bad - good > 1:
        middle = (good + bad) // 2
        if await sends(middle):
            good = middle
        else:
            bad = middle
    return theirs[bad - 1]


def _order(name: str) -> int:
    return _LATER.index(name) + 1 if name in _LATER else 0
