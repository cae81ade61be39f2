"""Secrets given away by what stands before them: ``password = …``, ``user:…@host``, ``curl -u``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headgate_core.types import Span
from headgate_guardrails.patterns.entropy import bits, is_placeholder, is_uuid

LONGEST = 220
"""Characters of the longest value, and a look behind it."""
CONTEXT = 260
"""Characters before a value in which its name, or the command it belongs to, may stand."""

_NAMES = (
    r"pass(?:word|wd|phrase|code)|pwd|passwort|kennwort|secret(?:[_-]?(?:access[_-]?)?key)?"
    r"|api[_ -]?key|api[_-]?(?:token|secret)|access[_ -]?(?:key|token)|auth[_ -]?(?:token|key)"
    r"|(?:client|app|consumer)[_ -]?secret|private[_-]?key|(?:bearer|refresh|id|bot)[_-]?token"
    r"|(?:account|signing|encryption|master|storage|service)[_-]?key|credentials?|token"
    r"|geheimnis|zugangsschl(?:ü|ue)ssel"
)
_HINTS = (
    *("passw", "passphrase", "passcode", "pwd", "kennwort", "secret", "geheimnis", "credential"),
    *("token", "key", "zugangsschl", "authorization"),
)
"""Every name holds one of these; looking for them first is much faster."""
_ASSIGNED = re.compile(
    rf"(?:{_NAMES})[\"'\]]{{0,2}}[ \t]{{0,8}}(?::=|=>|[:=])[ \t]{{0,8}}[\"'`]?", re.IGNORECASE
)
_SAID = re.compile(
    r"\b(?:pass(?:word|code|phrase)|passwort|kennwort|api[ -]?key|secret|token)"
    r"(?: (?:for|of|für|zu) [\w.@-]{1,30})? (?:is|was|ist|war|lautet)(?: now| jetzt)?:? "
    r"[\"'`“„]?",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\bAuthorization[\"']?\s?[:=]\s?[\"']?(?:Bearer|Basic|Token) ", re.IGNORECASE)
_VALUE = re.compile(r"[^\s\"'`,;<>(){}\[\]|&“”„]{6,200}")
_URL_USER = re.compile(r"://[^\s/:@\"'<>]{0,60}:(?=([^\s/@\"'<>]{3,100})@[A-Za-z0-9\[])")
_CURL_USER = re.compile(
    r"(?<=\s)(?:-u|--user)[ =]{0,3}[\"']?[^\s:\"'$<\[]{0,80}[\"']?:"
    r"(?=[\"']?([^\s\"'<>\[\]]{2,100}))"
)
_VARIABLE = re.compile(r"[$%@#!]?[{(\[]|\$|%\w+%|(?:env|file|vault):|os\.|process\.|[./~]|\w+://")
_WORDS = re.compile(r"[A-Za-z_]+(?:[.-][A-Za-z_]+)*\.?\Z")
_ROLE = re.compile(
    r"user(?:name)?|pass(?:word|wd)?|token|x{2,}|y{2,}|test|secret|admin|key\Z", re.IGNORECASE
)


def find(text: str) -> Iterator[Span]:
    """Values that their surroundings call a secret, and that are neither code nor placeholder."""
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        for pattern in (_ASSIGNED, _SAID, _BEARER):
            for match in pattern.finditer(text):
                yield from _value(text, match)
    for match in _URL_USER.finditer(text):
        if not _only_shape(match[1]):
            yield Span(match.start(1), match.end(1), "password")
    if "curl" in text:
        yield from _curl(text)


def _curl(text: str) -> Iterator[Span]:
    for match in _CURL_USER.finditer(text):
        of_curl = text.rfind("curl", max(0, match.start() - 200), match.start()) >= 0
        if of_curl and not _only_shape(match[1]):
            yield Span(match.start(1), match.end(1), "password")


def _value(text: str, name: re.Match[str]) -> Iterator[Span]:
    match = _VALUE.match(text, name.end())
    called = match is not None and text[match.end() : match.end() + 1] == "("
    if match is None or called or match[0].endswith(".."):
        return
    value = match[0].rstrip(".!?:\\")
    if _is_secret(value):
        kind = "password" if name[0].lower().startswith(("pass", "pwd", "kennwort")) else "secret"
        yield Span(match.start(), match.start() + len(value), kind)


def _is_secret(value: str) -> bool:
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return len(value) >= 6 and mixed and bits(value) >= 2.5 and not _only_shape(value)


def _only_shape(value: str) -> bool:
    """Whether a reader is to put a value here, a program does, or it is a plain word."""
    return (
        is_placeholder(value)
        or is_uuid(value)
        or any(pattern.match(value) for pattern in (_VARIABLE, _WORDS))
        or _ROLE.fullmatch(value) is not None
    )
