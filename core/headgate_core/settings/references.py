"""``env:NAME``, ``env:NAME:-default`` and ``file:PATH``: values that stand outside the file."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from headgate_core.settings import environment
from headgate_core.settings.document import Document, Trail, at, is_secret, leaves

_ENV = re.compile(r"env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>.*))?", re.DOTALL)
_LOOKS_LIKE = re.compile(r"(env|file):\S")
_PASSWORD_IN_URL = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s@:]*:[^/\s@]+@", re.IGNORECASE)


class _Unresolved(ValueError):
    """A reference that leads nowhere; the text says why."""


def resolve(document: Document) -> None:
    """Replace every reference by its value; note what it was, and every literal secret."""
    for trail, value in list(leaves(document.data)):
        if not isinstance(value, str) or not _LOOKS_LIKE.match(value):
            _refuse_literal_secret(document, trail, value)
            continue
        document.references[trail] = _shown(value, trail)
        try:
            _put(document, trail, _value(value, document.place(trail).file.parent, trail))
        except _Unresolved as error:
            document.problem(trail, str(error))
            document.broken.add(trail)


def refuse(document: Document) -> None:
    """Note a problem for every reference, for files whose text alone must decide what they do."""
    for trail, value in leaves(document.data):
        if isinstance(value, str) and _ENV.fullmatch(value):
            document.problem(trail, f"{value} cannot be used in this kind of file.")


def _value(text: str, folder: Path, trail: Trail) -> str:
    if text.startswith("file:"):
        read = _from_file(folder / Path(text.removeprefix("file:")).expanduser())
        return _trimmed(read, is_secret(trail))
    match = _ENV.fullmatch(text)
    if match is None:
        raise _Unresolved(
            f"{text} is not a reference; write env:NAME or env:NAME:-default, "
            "NAME of letters, digits and underscores."
        )
    return _from_environment(match["name"], match["default"], is_secret(trail))


def _from_environment(name: str, default: str | None, secret: bool) -> str:
    if secret and default:
        raise _Unresolved(
            f"the default of env:{name} is a secret in plain text; leave it out: env:{name}"
        )
    value = environment.get(name)
    if value is not None:
        value = _trimmed(value, secret)
    if default is not None:
        return value or default
    if value is None:
        hint = "" if secret else f", or write env:{name}:-DEFAULT to go on without it"
        raise _Unresolved(f"the environment variable {name} is not set; set it{hint}.")
    if secret and not value:
        raise _Unresolved(f"the environment variable {name} is set but empty.")
    return value


def _from_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _Unresolved(f"there is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _Unresolved(f"the file {path} cannot be read: {error}.") from None


def _trimmed(text: str, secret: bool) -> str:
    """Without the line end that ``echo`` leaves in files and in secrets of an orchestrator."""
    return text.strip() if secret else text.rstrip("\r\n")


def _names_file(trail: Trail, value: Any) -> bool:
    """Whether it is the path of a file with credentials, as Google's SDK takes one."""
    name = str(trail[-1])
    starts = ("/", "./", "~/")
    return name.endswith("credentials") and isinstance(value, str) and value.startswith(starts)


def _refuse_literal_secret(document: Document, trail: Trail, value: Any) -> None:
    if value in (None, "", {}) or value == []:
        return
    if is_secret(trail) and not (_counts_tokens(trail, value) or _names_file(trail, value)):
        name = next(part for part in reversed(trail) if isinstance(part, str))
        document.problem(
            trail,
            f"`{name}` is a secret and must not stand in the file; "
            "write env:NAME or file:PATH instead.",
        )
    elif isinstance(value, str) and _PASSWORD_IN_URL.match(value):
        document.problem(
            trail,
            "this address holds a password, which must not stand in the file; "
            "write env:NAME or file:PATH instead of the whole address.",
        )


def _counts_tokens(trail: Trail, value: Any) -> bool:
    """A number behind a name that ends in ``token``: how many of them, not one of them."""
    if isinstance(value, str):
        value = value.strip().replace(".", "", 1)
        return str(trail[-1]).lower().endswith("token") and value.isdigit()
    return str(trail[-1]).lower().endswith("token") and isinstance(value, int | float | Decimal)


def _shown(text: str, trail: Trail) -> str:
    return text.partition(":-")[0] if is_secret(trail) else text


def _put(document: Document, trail: Trail, value: str) -> None:
    holder = at(document.data, trail[:-1])
    if trail:
        holder[trail[-1]] = value
    else:
        document.data = value
