"""Feedback on a call: what may be said, and what of it the route's ``capture`` lets be kept."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Literal, cast

from headgate_core import plugins
from headgate_core.errors import InvalidRequest
from headgate_core.ports import Masker
from headgate_core.records import FeedbackRecord
from headgate_core.settings.routes import Capture
from headgate_core.store.feedback import data_type_of
from headgate_core.types import Json

LONGEST_COMMENT = 4000
LONGEST_CATEGORY = 100
MEMBERS = ("call_id", "value", "name", "comment", "source")

_NAME = re.compile(r"\w[\w.:/ -]{0,63}")
_SOURCES = ("person", "application")
_STRICTEST: tuple[Capture, ...] = ("none", "masked", "full")


@dataclass(frozen=True, slots=True)
class Given:
    """Feedback as somebody gave it."""

    call_id: str
    value: bool | float | str
    name: str = "user"
    comment: str | None = None
    source: Literal["person", "application"] = "person"


def parsed(body: Json) -> Given:
    """A body as feedback. Raises ``InvalidRequest`` naming the parameter."""
    for member in body:
        if member not in MEMBERS:
            text = plugins.unknown("member", member, MEMBERS)
            raise InvalidRequest(f"{text[0].upper()}{text[1:]}", param=member)
    if not isinstance(body.get("call_id"), str):
        raise InvalidRequest("`call_id` must be the id of a call.", param="call_id")
    name = body.get("name") if body.get("name") is not None else "user"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidRequest(
            "`name` must have 1 to 64 letters, digits, spaces or _ . : / - and begin with a letter "
            "or digit.",
            param="name",
        )
    source: Any = body.get("source") if body.get("source") is not None else "person"
    if source not in _SOURCES:
        raise InvalidRequest(f"`source` must be one of {', '.join(_SOURCES)}.", param="source")
    return Given(
        body["call_id"], _value(body.get("value")), name, _comment(body.get("comment")), source
    )


def strictest(*captures: Capture) -> Capture:
    """The one of them that keeps least."""
    return min(captures, key=_STRICTEST.index)


async def recorded(
    given: Given, call_id: str, key_id: str, capture: Capture, masker: Masker | None
) -> FeedbackRecord:
    """What is to be stored; its times and its id are filled in by the store.

    ``masker`` is used where ``capture`` is ``masked``, the installed one where it is None.
    """
    comment, status = await _kept(given.comment, capture, masker)
    return {
        "id": "",
        "call_id": call_id,
        "key_id": key_id,
        "name": given.name,
        "value": given.value,
        "data_type": data_type_of(given.value),
        "comment": comment,
        "comment_status": status,
        "source": given.source,
        "created_unix_ns": 0,
        "updated_unix_ns": 0,
    }


def document(record: FeedbackRecord) -> Json:
    """Feedback as callers see it."""
    return {
        "id": record["id"],
        "object": "feedback",
        "call_id": record["call_id"],
        "name": record["name"],
        "value": record["value"],
        "data_type": record["data_type"],
        "comment": record["comment"],
        "comment_status": record["comment_status"],
        "source": record["source"],
        "created_at": record["created_unix_ns"] // 1_000_000_000,
        "updated_at": record["updated_unix_ns"] // 1_000_000_000,
    }


async def _kept(
    comment: str | None, capture: Capture, masker: Masker | None
) -> tuple[str | None, Literal["none", "kept", "masked", "not_captured"]]:
    if comment is None:
        return None, "none"
    if capture == "none":
        return None, "not_captured"
    if capture == "full":
        return comment, "kept"
    used: Masker = masker if masker is not None else await asyncio.to_thread(_masker)
    return await used.mask(comment), "masked"


def _masker() -> Masker:
    return cast(Masker, plugins.capability("masker")())


def _value(value: Any) -> bool | float | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and _is_category(value):
        return value
    raise InvalidRequest(
        "`value` must be true or false, a number, or a category: a text of 1 to "
        f"{LONGEST_CATEGORY} characters in one line. Longer words belong into `comment`.",
        param="value",
    )


def _is_category(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and len(text) <= LONGEST_CATEGORY


def _comment(comment: Any) -> str | None:
    if comment is None or comment == "":
        return None
    if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT:
        raise InvalidRequest(
            f"`comment` must be a text of at most {LONGEST_COMMENT} characters.", param="comment"
        )
    return comment.replace("\0", "")
