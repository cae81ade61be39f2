"""Blocks as Jinja templates: sandboxed, strict, and only from text that is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from jinja2 import DictLoader, StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from headgate_core.errors import Problem
from headgate_core.plugins import unknown
from headgate_gateway.prompts.layout import ROLE_LINE, Block
from headgate_gateway.prompts.lines import tidy

Finder = Callable[[str], str | None]
"""The text of a partial by its name relative to the prompts folder; None when there is none."""


class Compiled(NamedTuple):
    """The templates of the blocks in order (None for history), and the partials they use."""

    templates: list[Template | None]
    partials: dict[str, str]
    names: set[str]
    """Every variable that the templates read."""


class _Compiler:
    def __init__(self, path: Path, find: Finder) -> None:
        self.path = path
        self.find = find
        self.partials: dict[str, str] = {}
        self._tidied: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.names: dict[str, Problem] = {}
        self.environment = ImmutableSandboxedEnvironment(
            loader=DictLoader(self._tidied),
            undefined=StrictUndefined,
            autoescape=False,
            keep_trailing_newline=True,
            finalize=written,
        )

    def block(self, block: Block) -> Template | None:
        """Compile one block; faults are noted."""
        if block.role == "history" or not self._look(block.text, self.path, block.line - 1):
            return None
        return self.environment.from_string(tidy(block.text))

    def _look(self, text: str, path: Path, offset: int) -> bool:
        """Parse ``text``, note faults and variables, and gather its partials."""
        try:
            tree = self.environment.parse(text)
        except TemplateSyntaxError as error:
            fault = Problem(path, error.lineno + offset, f"template: {error.message}.")
            self.problems.append(fault)
            return False
        declared = meta.find_undeclared_variables(tree)
        for name in tree.find_all(nodes.Name):
            if name.name in declared:
                self.names.setdefault(name.name, Problem(path, name.lineno + offset, ""))
        good = True
        for line, partial in _references(tree):
            good = self._partial(partial, Problem(path, line + offset, "")) and good
        return good

    def _partial(self, name: str | None, where: Problem) -> bool:
        fault = _bad_name(name)
        if fault or name is None:
            self.problems.append(Problem(where.file, where.line, fault))
            return False
        if name in self.partials:
            return True
        text = self.find(name)
        if text is None:
            self.problems.append(
                Problem(where.file, where.line, f"there is no {name!r} in the prompts folder.")
            )
            return False
        self.partials[name] = text
        self._tidied[name] = tidy(text.rstrip("\n"))
        path = self.path.parent / name
        for number, line in enumerate(text.splitlines(), 1):
            if ROLE_LINE.match(line):
                self.problems.append(
                    Problem(path, number, "a role line does nothing in a partial.")
                )
        return self._look(text, path, 0)


def compile_blocks(
    blocks: list[Block], path: Path, find: Finder, known: set[str] | None
) -> tuple[Compiled, list[Problem]]:
    """Compile all blocks. ``known`` are the variables there are; None = do not check them."""
    compiler = _Compiler(path, find)
    templates = [compiler.block(block) for block in blocks]
    globals_ = set(compiler.environment.globals)
    for name, where in compiler.names.items():
        if known is not None and name not in known | globals_:
            message = unknown("input", name, sorted(known)) + " Declare it under `inputs`."
            compiler.problems.append(Problem(where.file, where.line, message))
    compiled = Compiled(templates, compiler.partials, set(compiler.names))
    return compiled, compiler.problems


def in_folder(folder: Path) -> Finder:
    """Finds partials as files under ``folder``."""

    def find(name: str) -> str | None:
        path = folder / name
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            return None
        return path.read_text(encoding="utf-8")

    return find


def in_store(partials: Mapping[str, str]) -> Finder:
    """Finds partials among stored texts."""
    return partials.get


def written(value: Any) -> Any:
    """How a value is written out: yes and no, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value


def _references(tree: nodes.Template) -> Iterator[tuple[int, str | None]]:
    """Line and name of every template that ``tree`` refers to; None = a name that is computed."""
    kinds = (nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)
    for node in tree.find_all(kinds):
        name = node.template  # type: ignore[attr-defined]
        value = name.value if isinstance(name, nodes.Const) else None
        yield node.lineno, value if isinstance(value, str) else None


def _bad_name(name: str | None) -> str:
    if name is None:
        return "an include must name one file in quotes, so that the version covers it."
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name:
        return f"{name!r} leads out of the prompts folder; includes stay in it."
    return ""
