"""Bodies of the endpoints beside chat: what is checked in them, and where their texts are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headgate_core.endpoints import Kind
from headgate_core.errors import InvalidRequest
from headgate_core.types import Json

MOST_INPUTS = 2048
"""Inputs of one embeddings call, as OpenAI bounds them."""
_DOCUMENTS_PER_UNIT = 100
_LONGEST_DOCUMENT = 500 * 4
"""Characters: 500 tokens, at four characters each."""


@dataclass(slots=True)
class Text:
    """One text inside a body: ``replace`` writes another one to where it stands."""

    subject: str
    text: str
    replace: Callable[[str], None]


def validate_forwarded(kind: Kind, body: Json) -> None:
    """Raises ``InvalidRequest`` naming the member of ``body`` that is not sound."""
    if kind == "rerank":
        _rerank(body)
    elif kind == "moderation":
        _moderation(body)
    else:
        _embeddings(body)
    own = body.get("headgate")
    if isinstance(own, dict) and own.get("inputs"):
        raise InvalidRequest(
            "There is no prompt here, so it takes no inputs.", param="headgate.inputs"
        )


def is_tokens(value: Any) -> bool:
    """Whether the value is a non-empty list of token ids."""
    return isinstance(value, list) and bool(value) and all(map(_is_count, value))


def has_tokens(body: Json) -> bool:
    """Whether an embeddings body holds token ids in place of text."""
    given = body.get("input")
    return is_tokens(given) or (isinstance(given, list) and any(map(is_tokens, given)))


def token_count(body: Json) -> int:
    """How many token ids the body holds."""
    given = body.get("input")
    if is_tokens(given):
        return len(given or ())
    return sum(len(one) for one in given if is_tokens(one)) if isinstance(given, list) else 0


def search_units(body: Json) -> int:
    """What a rerank call is billed by: a query with up to 100 documents.

    A document that is longer than 500 tokens with the query counts as several.
    """
    sizes: dict[str, int] = {}
    for one in texts(body):
        sizes[one.subject] = sizes.get(one.subject, 0) + len(one.text)
    room = max(1, _LONGEST_DOCUMENT - sizes.pop("query", 0))
    documents = sum(max(1, -(-size // room)) for size in sizes.values())
    return -(-documents // _DOCUMENTS_PER_UNIT)


def texts(body: Json) -> Iterator[Text]:
    """Every text of a body that was validated; token ids and images hold none."""
    for name in ("input", "query", "documents"):
        yield from _texts(body, name, name)


def copied(body: Json) -> Json:
    """The body with texts that may be replaced without touching the caller's own."""
    fresh = dict(body)
    for name in ("input", "documents"):
        if isinstance(body.get(name), list):
            fresh[name] = [dict(one) if isinstance(one, dict) else one for one in body[name]]
    return fresh


def _texts(holder: Any, place: Any, subject: str) -> Iterator[Text]:
    value = holder.get(place) if isinstance(holder, dict) else holder[place]
    if isinstance(value, str):
        yield Text(subject, value, lambda text: holder.__setitem__(place, text))
    elif isinstance(value, list) and not is_tokens(value):
        for number in range(len(value)):
            yield from _texts(value, number, f"{subject} {number + 1}")
    elif isinstance(value, dict):
        for member in [m for m, v in value.items() if isinstance(v, str) and m != "type"]:
            yield from _texts(value, member, subject)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _embeddings(body: Json) -> None:
    given = body.get("input")
    if not _is_text(given) and not is_tokens(given):
        if not isinstance(given, list) or not given:
            raise InvalidRequest(
                "`input` must be a text, a list of texts, or token ids, and not empty.",
                param="input",
            )
        if len(given) > MOST_INPUTS:
            raise InvalidRequest(
                f"`input` holds {len(given)} texts; at most {MOST_INPUTS} go into one call.",
                param="input",
            )
        for number, one in enumerate(given):
            if not _is_text(one) and not is_tokens(one):
                raise InvalidRequest(
                    f"`input[{number}]` must be a text or token ids, and not empty.",
                    param=f"input[{number}]",
                )
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest("`encoding_format` must be float or base64.", param="encoding_format")
    _positive(body, "dimensions")


def _rerank(body: Json) -> None:
    if not _is_text(body.get("query")):
        raise InvalidRequest("`query` must be a text, and not empty.", param="query")
    documents = body.get("documents")
    if not isinstance(documents, list) or not documents:
        raise InvalidRequest(
            "`documents` must be a list with at least one text.", param="documents"
        )
    for number, one in enumerate(documents):
        if not isinstance(one, str | dict):
            raise InvalidRequest(
                f"`documents[{number}]` must be a text or an object.",
                param=f"documents[{number}]",
            )
    _positive(body, "top_n")


def _moderation(body: Json) -> None:
    given = body.get("input")
    if _is_text(given):
        return
    if not isinstance(given, list) or not given:
        raise InvalidRequest(
            "`input` must be a text or a list of texts or parts, and not empty.", param="input"
        )
    for number, one in enumerate(given):
        if not isinstance(one, str | dict):
            raise InvalidRequest(
                f"`input[{number}]` must be a text or a part.", param=f"input[{number}]"
            )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _positive(body: Json, name: str) -> None:
    value = body.get(name)
    if value is not None and (not _is_count(value) or value == 0):
        raise InvalidRequest(f"`{name}` must be a whole number of 1 or more.", param=name)
