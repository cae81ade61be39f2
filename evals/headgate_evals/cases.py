"""A suite made ready to run: settings, all cases with their assertions, every fault at once."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import unknown
from headgate_core.settings import files, yaml_source
from headgate_core.settings.base import Settings
from headgate_core.settings.document import Document, at
from headgate_core.types import Json
from headgate_evals import data_files
from headgate_evals.asserts.base import AssertSettings
from headgate_evals.scoring import family
from headgate_evals.suite import PASS_RATE, CaseSettings, DataSettings, SuiteSettings

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Case:
    """One case with everything that holds for it; ``asserts`` are the suite's, then its own."""

    id: str
    messages: list[Json]
    inputs: Json
    reference: str | None
    tags: tuple[str, ...]
    asserts: tuple[AssertSettings, ...]
    smoke: bool

    @property
    def asserted(self) -> bool:
        """Whether there is anything that the case can fail."""
        return bool(self.asserts) or self.smoke


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite file, its data files read.

    ``cases`` may be chosen from ``cases_in_all``. ``data_hash`` is the SHA-256 over all cases
    and their assertions, in hexadecimal digits.
    """

    path: Path
    settings: SuiteSettings
    cases: tuple[Case, ...]
    cases_in_all: int
    data_hash: str

    def chosen(self, first: int | None, sample: int | None, repeats: int | None) -> Suite:
        """The same suite with its first cases, or a sample drawn by its seed, or other repeats."""
        cases = self.cases
        if sample is not None and sample < len(cases):
            drawn = random.Random(self.settings.seed).sample(range(len(cases)), sample)
            cases = tuple(cases[i] for i in sorted(drawn))
        if first is not None:
            cases = cases[:first]
        changes = {} if repeats is None else {"repeats": repeats}
        return replace(self, cases=cases, settings=self.settings.model_copy(update=changes))


def _hash(cases: tuple[Case, ...]) -> str:
    rows = [
        [c.id, c.messages, c.inputs, c.reference, c.tags, c.smoke]
        + [a.model_dump(mode="json") for a in c.asserts]
        for c in cases
    ]
    text = json.dumps(rows, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class _Found:
    """A case, and where it stands."""

    document: Document
    index: int
    settings: CaseSettings

    def problem(self, message: str) -> None:
        self.document.problem(("cases", self.index), message)


def find_suite(name: str, config: Path) -> Path:
    """The file of a suite: a path, or a name in ``evals/`` beside the gateway's configuration.

    Raises ``ConfigurationError`` listing the suites there are.
    """
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        if path.is_file():
            return path
        raise ConfigurationError(f"There is no suite file {path}.")
    folder = config.parent / "evals"
    if (folder / f"{name}.yaml").is_file():
        return folder / f"{name}.yaml"
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    raise ConfigurationError(f"In {folder}: {unknown('suite', name, known)}")


def load_suite(path: Path) -> Suite:
    """Read a suite and its data files. Raises ``ConfigurationError`` with all problems."""
    document = yaml_source.read(path)
    settings = files.validate(document, SuiteSettings, refer=False)
    rows = list(_data_files(document))
    found = [_Found(document, i, c) for i, c in enumerate(settings.cases if settings else ())]
    for one in rows:
        found.extend(_cases(one))
    problems = [problem for one in (document, *rows) for problem in one.problems]
    files.raise_problems(path, problems)
    assert settings is not None, "what is wrong with a suite is a problem"
    _check(document, settings, found)
    problems = [problem for one in (document, *rows) for problem in one.problems]
    files.raise_problems(path, problems)
    cases = tuple(_case(settings, one.settings) for one in found)
    return Suite(path, settings, cases, len(cases), _hash(cases))


def _data_files(suite: Document) -> Iterator[Document]:
    """The data files, also those of a suite that has faults of its own."""
    names = at(suite.data, ("data",))
    for index, name in enumerate(names if isinstance(names, list) else ()):
        try:
            yield data_files.read(suite.file.parent / str(name))
        except ConfigurationError as error:
            suite.problems.extend(error.problems)
            if not error.problems:
                suite.problem(("data", index), error.message)


def _cases(rows: Document) -> Iterator[_Found]:
    settings = files.validate(rows, DataSettings, refer=False)
    for index, case in enumerate(settings.cases if settings else ()):
        yield _Found(rows, index, case)


def _check(document: Document, settings: SuiteSettings, found: list[_Found]) -> None:
    if not found:
        document.problem((), "the suite has no case.")
    seen: dict[str, _Found] = {}
    for one in found:
        first = seen.setdefault(one.settings.id, one)
        if first is not one:
            place = first.document.place(("cases", first.index))
            one.problem(f"the case id {one.settings.id!r} is already used at {place}.")
    _check_gates(document, settings, {tag for one in found for tag in one.settings.tags})
    if not any(gate.metric != PASS_RATE for gate in settings.gates):
        _check_asserted(settings, found)


def _check_asserted(settings: SuiteSettings, found: list[_Found]) -> None:
    for one in found:
        case = _case(settings, one.settings)
        if not case.asserted:
            one.problem(
                f"case {case.id!r} has no assertion and the suite no gate on a metric: nothing "
                "could fail. Add an `assert`, or `smoke: true` if it is only to be answered."
            )


def _check_gates(document: Document, settings: SuiteSettings, tags: set[str]) -> None:
    for index, gate in enumerate(settings.gates):
        if gate.metric != PASS_RATE and family(gate.metric) not in settings.metrics:
            document.problem(
                ("gates", index, "metric"),
                unknown("metric in a gate", gate.metric, [PASS_RATE, *settings.metrics])
                + " A gate may name a metric of `metrics`, or a member of one (latency.total_s).",
            )
        if gate.slice is not None and gate.slice not in tags:
            document.problem(("gates", index, "slice"), unknown("tag", gate.slice, sorted(tags)))


def _case(settings: SuiteSettings, case: CaseSettings) -> Case:
    messages: list[Any] = case.messages or [{"role": "user", "content": case.input}]
    return Case(
        case.id,
        messages,
        case.inputs,
        case.reference,
        tuple(case.tags),
        (*_suite_wide(settings, case), *case.asserts),
        case.smoke,
    )


def _suite_wide(settings: SuiteSettings, case: CaseSettings) -> Iterator[AssertSettings]:
    """The suite's assertions; an answer that has to decline is not asked to cite as well."""
    declines = any(own.type == "is-refusal" for own in case.asserts)
    for one in settings.asserts:
        if not (declines and one.type == "cites"):
            yield one
