"""Markdown to plain words: what a reader sees, without the marks."""

from __future__ import annotations

import re

_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^>\s]+)>")
_CODE = re.compile(r"(`+) ?(.+?) ?\1", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>]*)?/?>|<!--.*?-->", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=\S)(.+?)(?<=\S)\1(?![\w*])", re.DOTALL)
_UNDERSCORE = re.compile(r"(?<!\w)(_{1,3})(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL)
_STRIKE = re.compile(r"~~(.+?)~~", re.DOTALL)
_LEAD = re.compile(r"^[ \t]*(?:>[ \t]?)*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?)?", re.M)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def inline(text: str) -> str:
    """Links, images, emphasis, code marks, tags and escapes resolved; white space collapsed."""
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match.group(2))
        return f"\0{len(held) - 1}\0"

    text = _CODE.sub(hold, text)
    for pattern in (_IMAGE, _LINK, _AUTOLINK):
        text = pattern.sub(r"\1", text)
    text = _TAG.sub("", text)
    for pattern in (_EMPHASIS, _UNDERSCORE):
        text = pattern.sub(r"\2", text)
    text = _ESCAPE.sub(r"\1", _STRIKE.sub(r"\1", text))
    text = re.sub("\0(\\d+)\0", lambda m: held[int(m.group(1))], text)
    return " ".join(text.split())


def clean(text: str) -> str:
    """``inline`` for a whole piece: quote marks and bullets at line starts are dropped too."""
    return inline(_LEAD.sub("", text))
