"""Lines that hold nothing but a tag leave no empty line behind; all other text stays as written.

Jinja's own ``trim_blocks`` also eats the line break after a tag in the middle of a line, which
glues two lines of a prompt together.
"""

from __future__ import annotations

import re

_ALONE = re.compile(r"^[ \t]*(?P<tag>\{%(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\})[ \t]*$")
_INCLUDE = re.compile(r"\{%[-+]?\s*include\b")
_RAW = re.compile(r"\{%[-+]?\s*(?P<end>end)?raw\b")


def tidy(text: str) -> str:
    """``text`` with the breaks of tag-only lines moved into comments, so that lines still count.

    An include keeps its line break: the included text takes the place of the tag.
    """
    made: list[str] = []
    raw = False
    lines = text.split("\n")
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        match = None if raw else _ALONE.match(line)
        marks = _RAW.findall(line)
        raw = marks[-1] != "end" if marks else raw
        if match is None or marks or _INCLUDE.match(match["tag"]):
            made.append(line if last else f"{line}\n")
        else:
            made.append(match["tag"] if last else f"{match['tag']}{{#\n#}}")
    return "".join(made)
