"""YAML as configuration wants it: lines for every path, no repeated members, no traps.

The text is composed, not loaded, so that each scalar is read from its own digits: money as
``Decimal``, ``yes`` refused rather than guessed at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from headgate_core.errors import ConfigurationError, Problem
from headgate_core.settings.document import Document, Place, Trail
from headgate_core.settings.scalars import Trap, plain
from headgate_core.settings.yaml_faults import explain_fault


class _Loader(yaml.SafeLoader):
    """Refuses what would make a line number or a value ambiguous: aliases and tags."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.composer.ComposerError(
                None,
                None,
                "anchors and aliases (& and *) are not supported: write the value out where it "
                "is needed, or put the text in quotes",
                event.start_mark,
            )
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.composer.ComposerError(
                None,
                None,
                f"the tag {event.tag} is not supported: remove it, or put the text in quotes",
                event.start_mark,
            )
        return super().compose_node(parent, index)


def read(path: Path) -> Document:
    """Read one YAML file. Raises ``ConfigurationError`` when it is missing or is not YAML."""
    return parse(read_text(path), path)


def read_text(path: Path) -> str:
    """The file's text. Raises ``ConfigurationError`` saying why it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise ConfigurationError(f"{path}: this is a folder; name the file in it.") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8."
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from None


def parse(text: str, path: Path, first_line: int = 1) -> Document:
    """Read YAML text whose first line is line ``first_line`` of ``path``.

    Traps and repeated members are noted in the document's problems. Raises
    ``ConfigurationError`` when the text is not YAML.
    """
    text = text.removeprefix("\ufeff")
    try:
        node = _Loader(text).get_single_node()
    except yaml.YAMLError as error:
        line, message = explain_fault(error, text)
        problem = Problem(path, line + first_line, message)
        raise ConfigurationError("The file is not valid YAML:", (problem,)) from None
    reader = _Reader(Document(path, None), first_line)
    reader.document.places[()] = Place(path, first_line)
    reader.document.data = None if node is None else reader.value(node, ())
    return reader.document


class _Reader:
    """Turns composed nodes into plain values, noting places and problems on the way."""

    def __init__(self, document: Document, first_line: int) -> None:
        self.document = document
        self._first = first_line

    def value(self, node: Node, trail: Trail) -> Any:
        """The node's value; its place is noted where the member that holds it had none."""
        self.document.places.setdefault(trail, self._place(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, trail)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*trail, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, trail: Trail) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            here = (*trail, key)
            if key in found:
                first = self.document.places[here].line
                self._fault(key_node, f"`{key}` is repeated; it stands already on line {first}.")
                continue
            self.document.places[here] = self._place(key_node)
            found[key] = self.value(value_node, here)
        return found

    def _key(self, node: Node) -> str | None:
        if not isinstance(node, ScalarNode):
            self._fault(
                node,
                "a member's name must be plain text; put a text that begins with { or [ in quotes.",
            )
            return None
        if node.value == "<<" and node.style is None:
            self._fault(node, "merge keys (<<) are not supported: write the members out.")
            return None
        if node.style is None and not _is_text(node.value):
            self._fault(node, f'put the member\'s name in quotes: "{node.value}".')
            return None
        return str(node.value)

    def _scalar(self, node: ScalarNode) -> Any:
        if node.style is not None:
            return node.value
        try:
            return plain(node.value)
        except Trap as trap:
            self._fault(node, str(trap))
            return node.value

    def _place(self, node: Node) -> Place:
        return Place(self.document.file, node.start_mark.line + self._first)

    def _fault(self, node: Node, message: str) -> None:
        self.document.problems.append(Problem(*self._place(node), message))


def _is_text(text: str) -> bool:
    try:
        return isinstance(plain(text), str)
    except Trap:
        return False
