"""Token ids of OpenAI's embedding models, back to the text that they were made of.

The table is the one that litellm brings along, read from its file: nothing is ever downloaded.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from headgate_core.errors import Internal

_SOURCE = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
"""What the table's file is named after."""
_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_SPECIAL = {
    100257: b"<|endoftext|>",
    100258: b"<|fim_prefix|>",
    100259: b"<|fim_middle|>",
    100260: b"<|fim_suffix|>",
    100276: b"<|endofprompt|>",
}


class UnknownToken(ValueError):
    """A token id that is not in the vocabulary; ``place`` is where it stands in its list."""

    def __init__(self, token: int, place: int) -> None:
        super().__init__(f"{token} is no token id of cl100k_base")
        self.place = place


def decoded(tokens: Iterable[int]) -> str:
    """The text of ``tokens``. Raises ``UnknownToken``, or ``Internal`` without the table.

    Bytes of a character that was cut in two become the replacement character.
    """
    table = cl100k_base()
    pieces: list[bytes] = []
    for place, token in enumerate(tokens):
        piece = table.get(token)
        if piece is None:
            raise UnknownToken(token, place)
        pieces.append(piece)
    return b"".join(pieces).decode("utf-8", errors="replace")


@cache
def cl100k_base() -> Mapping[int, bytes]:
    """Token id to its bytes, read once. Raises ``Internal`` when the file is not the known one."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        raise Internal("The table of token ids belongs to litellm, which is not installed.")
    folder = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    path = folder / hashlib.sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest()
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise Internal(f"{path} is not the table cl100k_base; install litellm anew.")
    pairs = (line.split() for line in data.splitlines() if line)
    return {int(rank): base64.b64decode(token) for token, rank in pairs} | _SPECIAL
