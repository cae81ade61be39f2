"""One version of one prompt: read, checked, and ready to fill in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError

from headgate_core.errors import InvalidRequest, Problem
from headgate_core.settings.files import raise_problems, validate
from headgate_core.settings.yaml_source import read_text
from headgate_core.types import Json, Passage
from headgate_gateway.prompts import conversation
from headgate_gateway.prompts.budget import fit_history, fit_passages
from headgate_gateway.prompts.front_matter import ExampleSettings, PromptSettings
from headgate_gateway.prompts.inputs import collect
from headgate_gateway.prompts.layout import Block, split
from headgate_gateway.prompts.sources import Sources
from headgate_gateway.prompts.template import Finder, compile_blocks, in_folder


@dataclass(slots=True)
class Rendered:
    """What a call sends. ``trimmed`` holds a sentence for everything that was cut."""

    messages: list[Json]
    parameters: Json
    trimmed: list[str] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    """The passages that the messages show, in the order of their numbers."""


@dataclass(frozen=True)
class Prompt:
    """A prompt at one version; made by ``parse`` and ``build``. Safe to use from many tasks."""

    settings: PromptSettings
    version: str
    """SHA-256 over the file and every partial it includes, first 12 hexadecimal digits."""
    source: str
    partials: Mapping[str, str]
    blocks: Sequence[Block]
    templates: Sequence[Template | None]

    @property
    def name(self) -> str:
        """The prompt's name, which is its file's name without ``.md``."""
        return self.settings.name

    def render(
        self, inputs: Mapping[str, Any], passages: Sequence[Passage], messages: Sequence[Json]
    ) -> Rendered:
        """Fill the prompt for one call. Raises ``InvalidRequest`` naming what is wrong."""
        turns = conversation.take_apart(messages)
        if turns.system and self.settings.client_system == "refuse":
            raise InvalidRequest(
                f"The prompt {self.name!r} takes no system messages; remove them.",
                param="messages",
            )
        kept, cut_passages = fit_passages(passages, self.settings.tokens.passages)
        history, cut_history = fit_history(turns.earlier, self.settings.tokens.history)
        values = collect(self.settings.inputs, inputs, turns.question)
        made = self._messages({**values, "passages": Sources(kept)}, turns, history)
        trimmed = [cut for cut in (cut_history, cut_passages) if cut]
        return Rendered(made, dict(self.settings.parameters), trimmed, kept)

    def _messages(
        self, values: Mapping[str, Any], turns: conversation.Conversation, history: list[Json]
    ) -> list[Json]:
        made: list[Json] = []
        for block, template in zip(self.blocks, self.templates, strict=True):
            if template is not None:
                made.append({"role": block.role, "content": self._text(block, template, values)})
            elif block.role == "history":
                made.extend(history)
        start = 1 if made and made[0]["role"] == "system" else 0
        made[start:start] = turns.system
        if self.blocks[-1].role == "user":
            made[-1] = conversation.with_text(turns.last, made[-1]["content"])
            if not self._has_history:
                made[-1:-1] = history
        else:
            made.extend(history if not self._has_history else ())
            made.extend([turns.last] if turns.last is not None else ())
        return [*made, *turns.after]

    @property
    def _has_history(self) -> bool:
        return any(block.role == "history" for block in self.blocks)

    def _text(self, block: Block, template: Template, values: Mapping[str, Any]) -> str:
        try:
            return template.render(values).strip("\n")
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InvalidRequest(
                f"The prompt {self.name!r} cannot be filled with these inputs: "
                f"its {block.role} block says: {error}.",
                param="headgate.inputs",
            ) from error

    def example(self, example: ExampleSettings) -> Rendered:
        """Render one of the prompt's own examples. Raises ``InvalidRequest``."""
        passages = [
            Passage(
                id=f"example-{number}",
                document=one.title or f"example-{number}",
                text=one.text,
                start=0,
                end=len(one.text),
                title=one.title,
                heading=tuple(one.heading),
            )
            for number, one in enumerate(example.passages, 1)
        ]
        return self.render(example.inputs, passages, [])


def parse(path: Path | str, folder: Path | None = None) -> Prompt:
    """Read a prompt file; partials come from ``folder``, by default the file's own.

    Raises ``ConfigurationError`` with all problems of the file and its partials.
    """
    path = Path(path)
    return build(read_text(path), path, in_folder(folder or path.parent))


def build(source: str, path: Path, find: Finder) -> Prompt:
    """A prompt from its text; ``path`` is what problems name. Raises ``ConfigurationError``."""
    layout = split(source, path)
    document = layout.head
    settings = validate(document, PromptSettings, refer=False)
    known = {*settings.inputs, "passages"} if settings else None
    compiled, problems = compile_blocks(layout.blocks, path, find, known)
    document.problems.extend(problems)
    if settings is not None:
        _check_head(settings, path, document.place(("name",)).line, document.problems)
        for name in settings.inputs:
            if name not in compiled.names:
                document.problem(("inputs", name), f"no block uses the input {name!r}; remove it.")
    raise_problems(path, document.problems)
    assert settings is not None
    version = fingerprint(source, compiled.partials)
    made = Prompt(settings, version, source, compiled.partials, layout.blocks, compiled.templates)
    for index, example in enumerate(settings.examples):
        try:
            made.example(example)
        except InvalidRequest as error:
            document.problem(("examples", index), f"example {example.name!r}: {error.message}")
    raise_problems(path, document.problems)
    return made


def fingerprint(source: str, partials: Mapping[str, str]) -> str:
    """The version of a prompt: a hash over its text and its partials, 12 hexadecimal digits."""
    text = json.dumps([source, sorted(partials.items())], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _check_head(settings: PromptSettings, path: Path, line: int, problems: list[Problem]) -> None:
    if settings.name != path.stem:
        problems.append(
            Problem(path, line, f"`name` is {settings.name!r}, but the file is {path.name}.")
        )
    if "passages" in settings.inputs:
        problems.append(Problem(path, line, "`passages` is what retrieval found, not an input."))
