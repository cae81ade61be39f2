"""Checks of parsed JSON, put together once and cheap to run: what is wrong, and where it stands.

A check is a function that takes a value and raises ``Wrong``. Members that a check does not know
are not looked at, and a null member counts as left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

Check: TypeAlias = Callable[[Any], None]

_NUMBERS = (int, float)
_NESTED = (list, dict)


class Wrong(ValueError):
    """A value that is not what it must be: why, and its ``path`` below where the check began."""

    def __init__(self, why: str, path: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def under(self, place: str) -> Wrong:
        """The same fault, seen from one level up."""
        self.path = place + self.path
        return self


def _of(kinds: type | tuple[type, ...], why: str, *, bools: bool = False) -> Check:
    def check(value: Any) -> None:
        if not isinstance(value, kinds) or (not bools and isinstance(value, bool)):
            raise Wrong(why)

    return check


text = _of(str, "must be a text")
boolean = _of(bool, "must be true or false", bools=True)
whole = _of(int, "must be a whole number")
number = _of(_NUMBERS, "must be a number")
anything = _of(dict, "must be an object")


def between(low: float, high: float, *, only_whole: bool = False) -> Check:
    """A number from ``low`` to ``high``."""

    def check(value: Any) -> None:
        plain = isinstance(value, _NUMBERS) and not isinstance(value, bool)
        if not plain or not low <= value <= high:
            raise Wrong(f"must be a number from {low} to {high}")
        if only_whole and not isinstance(value, int):
            raise Wrong("must be a whole number")

    return check


def items(check: Check) -> Check:
    """A list of what ``check`` takes."""

    def check_all(value: Any) -> None:
        if not isinstance(value, list):
            raise Wrong("must be a list")
        for place, one in enumerate(value):
            try:
                check(one)
            except Wrong as wrong:
                raise wrong.under(f"[{place}]") from None

    return check_all


def values(check: Check) -> Check:
    """An object, under any names, of what ``check`` takes."""

    def check_all(value: Any) -> None:
        anything(value)
        for name, one in value.items():
            try:
                check(one)
            except Wrong as wrong:
                raise wrong.under(f".{name}") from None

    return check_all


def members(known: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object whose ``known`` members are sound and whose ``required`` ones are there."""

    def check(value: Any) -> None:
        anything(value)
        for name in required:
            if value.get(name) is None:
                raise Wrong("is missing", f".{name}")
        check_known(value, known, ".")

    return check


def check_known(value: Mapping[str, Any], known: Mapping[str, Check], before: str = "") -> None:
    """Check those members that are ``known``. Raises ``Wrong`` at ``before`` and the name."""
    name = ""
    try:
        for name, member in value.items():
            check = known.get(name)
            if check is not None and member is not None:
                check(member)
    except Wrong as wrong:
        raise wrong.under(f"{before}{name}") from None


def text_or(other: Check, why: str) -> Check:
    """A text, or what ``other`` takes; ``why`` is said of what is neither text, list nor object."""

    def check(value: Any) -> None:
        if isinstance(value, str):
            return
        if not isinstance(value, _NESTED):
            raise Wrong(why)
        other(value)

    return check


def by_type(kinds: Mapping[str, Check]) -> Check:
    """An object whose ``type`` says what must be in it; types that are not known are not checked.

    Servers that leave ``type`` out are told apart by the member that has the type's name.
    """

    def check(value: Any) -> None:
        anything(value)
        kind = value.get("type")
        if kind is None:
            kind = next((name for name in kinds if name in value), "")
            if not kind and not value:
                raise Wrong("is missing", ".type")
        elif not isinstance(kind, str):
            raise Wrong("must be a text", ".type")
        known = kinds.get(kind)
        if known is not None:
            known(value)

    return check
