"""What a YAML parser's complaint means, in words that say what to do."""

from __future__ import annotations

import yaml

_MEANINGS = (
    (
        "mapping values are not allowed here",
        "there is a colon in an unquoted text, or a line that is indented wrongly; "
        'put a text that holds ": " in quotes.',
    ),
    ("'\\t'", "a tab stands where spaces must be; indent with spaces."),
    (
        "that cannot start any token",
        "a text cannot begin with this character ({found}) unless it is in quotes.",
    ),
    (
        "could not find expected ':'",
        "a member needs a colon and a space after its name, e.g. `name: value`.",
    ),
    (
        "found unexpected end of stream",
        "a quotation mark or a bracket that was opened is never closed.",
    ),
    (
        "expected ',' or '}'",
        "the {{...}} is broken: a comma or the closing }} is missing, or a text in it needs "
        "quotes.",
    ),
    (
        "expected ',' or ']'",
        "the [...] is broken: a comma or the closing ] is missing, or a text in it needs quotes.",
    ),
    (
        "expected <block end>",
        "this line does not fit the ones above it: its indentation is wrong, or a text above "
        "needs quotes.",
    ),
    (
        "but found another document",
        "a second document begins here (---); write it into a file of its own.",
    ),
)


def explain_fault(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """The line, counted from 0, and one sentence on what to do."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context or "this is not YAML")
        line = mark.line if mark else 0
        return line, _meaning(problem)
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return before.count("\n"), "a character stands here that YAML does not allow; remove it."
    return 0, f"this is not YAML: {error}."


def _meaning(problem: str) -> str:
    for sign, meaning in _MEANINGS:
        if sign in problem:
            found = problem.partition("character ")[2].partition(" ")[0]
            return meaning.format(found=found)
    return problem if problem.endswith(".") else f"{problem}."
