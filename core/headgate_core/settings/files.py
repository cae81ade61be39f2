"""Reading configuration files: strict, and every fault of a file at once with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from headgate_core.errors import ConfigurationError, Problem
from headgate_core.settings import members, references, wording, yaml_source
from headgate_core.settings.document import Document, at

M = TypeVar("M", bound=BaseModel)


def load_file(path: Path | str, model: type[M]) -> M:
    """Read one YAML file as ``model``. Raises ``ConfigurationError`` with all problems."""
    path = Path(path)
    return build(yaml_source.read(path), model)


def build(document: Document, model: type[M], *, refer: bool = True) -> M:
    """The document as ``model``; ``refer=False`` refuses references to the environment in it.

    Raises ``ConfigurationError`` with all problems found so far.
    """
    made = validate(document, model, refer=refer)
    raise_problems(document.file, document.problems)
    assert made is not None
    return made


def validate(document: Document, model: type[M], *, refer: bool = True) -> M | None:
    """The document as ``model``; problems are noted in it.

    Members that are wrong are left out where they may be, so that more faults can be found in
    what remains; None where nothing useful remains.
    """
    if not isinstance(document.data, dict):
        found = wording.describe(document.data)
        document.problem((), f"expected members, `name: value`, found {found}.")
        return None
    members.strip(document, model)
    references.resolve(document) if refer else references.refuse(document)
    members.check(document, model)
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        wording.note(document, error.errors())
        return _without(document, model, error)


def _without(document: Document, model: type[M], error: ValidationError) -> M | None:
    """What remains when the wrong members are left out, if that is valid."""
    for item in error.errors():
        trail: tuple[Any, ...] = item["loc"]
        while trail and (at(document.data, trail) is None or isinstance(trail[-1], int)):
            trail = trail[:-1]
        document.drop(trail) if len(trail) > 1 else None
    try:
        return model.model_validate(document.data)
    except ValidationError:
        return None


def raise_problems(path: Path, problems: list[Problem]) -> None:
    """Raise ``ConfigurationError`` with all ``problems`` in the order of the file, if any."""
    if not problems:
        return
    ordered = tuple(sorted(dict.fromkeys(problems), key=lambda p: (str(p.file), p.line)))
    count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    raise ConfigurationError(f"{path} has {count}:", ordered)
