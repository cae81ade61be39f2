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
    that the request names (empty = none).
    """

    path: ClassVar[str]
    dropped: list[str]
    prompt: str

    def __init__(self, body: Json) -> None: ...

    @classmethod
    def refusal(cls, error: HeadgateError, call_id: str) -> tuple[int, Json, dict[str, str]]:
        """Status, body and extra headers of an error that comes before the first byte."""
        ...

    def chat(self) -> Json:
        """The chat body that asks for the same. Raises ``InvalidRequest`` naming the member."""
        ...

    def headers(self, ctx: Context) -> dict[str, str]:
        """Response headers of this dialect beside ours."""
        ...

    def whole(self, ctx: Context, body: Json) -> Json:
        """The reply's body; ``ctx`` is settled."""
        ...

    def opening(self, ctx: Context, held_back: bool) -> Iterator[bytes]:
        """What a stream begins with. ``held_back``: a guard may release text late."""
        ...

    def chunk(self, ctx: Context, body: Json) -> Iterator[bytes]:
        """What one chunk of the chat stream becomes."""
        ...

    def closing(self, ctx: Context) -> Iterator[bytes]:
        """What a stream ends with; ``ctx`` is settled."""
        ...

    def failure(self, ctx: Context, error: HeadgateError) -> Iterator[bytes]:
        """What a stream ends with that fails after its first byte."""
        ...
