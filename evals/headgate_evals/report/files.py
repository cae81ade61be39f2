"""Reports in files; the ending says which kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from headgate_core.errors import ConfigurationError
from headgate_evals.report.document import document_of
from headgate_evals.report.junit import junit
from headgate_evals.report.markdown import markdown
from headgate_evals.results import Run


def json_text(run: Run) -> str:
    """The run as one JSON document."""
    return json.dumps(document_of(run), ensure_ascii=False, indent=2) + "\n"


WRITERS: Mapping[str, Callable[[Run], str]] = {
    ".junit.xml": junit,
    ".json": json_text,
    ".md": markdown,
}
"""Kinds of reports by the ending of the file."""


def check(path: Path) -> None:
    """Make sure that a report can be written to ``path``. Raises ``ConfigurationError``."""
    _writer(path)
    there = path.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise ConfigurationError(f"--output {path} cannot be written: {error.strerror}.") from error


def write(run: Run, path: Path) -> None:
    """Write the report; an older one of that name is replaced."""
    path.write_text(_writer(path)(run), encoding="utf-8")


def _writer(path: Path) -> Callable[[Run], str]:
    for ending, writer in WRITERS.items():
        if path.name.endswith(ending):
            return writer
    raise ConfigurationError(
        f"--output {path}: the ending says which kind of report it is; known: {', '.join(WRITERS)}."
    )
