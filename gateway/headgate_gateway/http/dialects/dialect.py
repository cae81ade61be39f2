"""What a dialect is: one foreign call, from its body to the last byte of its reply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol

from headgate_core.context import Context
from headgate_core.errors import HeadgateError
from headgate_core.types import Json


class Dialect(Protocol):
    """One call in a foreign wire. Made from the parsed body; used for this one call.

    ``dropped`` names hints of the request that the chat wire cannot say; ``prompt`` is the prompt
    that the request names (empty = none). ``marks``: whoever answers takes ``cache_control``.
    """

    path: ClassVar[str]
    dropped: list[str]
    prompt: str
    marks: bool

    def __init__(self, body: Json) -> None: ...

    @classmethod
    def refusal(cls, error: HeadgateError, call_id: str) -> tuple[int, Json, dict[str, str]]:
        """Status, body and extra headers of an error that comes before the first byte."""
        ...

    @staticmethod
    def named(member: str) -> str:
        """What a member of the chat body is called here."""
        ...

    def chat(self) -> Json:
        """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
        ...

    def headers(self, ctx: Context) -> dict[str, str]:
        """Response headers of this dialect beside ours."""
        ...

    def whole(self, ctx: Context, body: Json) -> Json:
        """The reply's body, but for what is known only of a settled call.

        Raises ``UpstreamMalformed``.
        """
        ...

    def settled(self, ctx: Context, said: Json) -> Json:
        """What ``whole`` said with the rest; ``ctx`` is settled."""
        ...

    def opening(self, ctx: Context, held_back: bool) -> Iterator[bytes]:
        """What a stream begins with. ``held_back``: the end of a text may come late."""
        ...

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """What one chunk of the chat stream becomes. Raises ``UpstreamMalformed``."""
        ...

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """What a stream ends with; ``ctx`` is settled."""
        ...

    def failure(self, ctx: Context, error: HeadgateError) -> Iterator[bytes]:
        """What a stream ends with that fails after its first byte."""
        ...
