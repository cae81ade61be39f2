"""Finding documents below paths, telling them apart by a stable path, and reading them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from headgate_core import plugins
from headgate_core.errors import InvalidRequest, ServiceError
from headgate_rag.types import Document, Loader


class UnreadableDocument(ServiceError):
    """One file cannot be read as a document; the message names it and says why."""

    status = 422
    code = "unreadable_document"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NoSuchPath(InvalidRequest):
    """A path to ingest that is not there or that no loader reads."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to ingest; ``path`` identifies it within its collection."""

    file: Path
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """What lies below the given roots.

    ``prefixes`` name what the roots cover: a stored path that equals one, or that lies in one
    ending with ``/``, and that is not among ``files`` has vanished. ``ignored`` counts the files
    in folders that no loader reads.
    """

    files: tuple[SourceFile, ...]
    prefixes: tuple[str, ...]
    ignored: int

    def covers(self, path: str) -> bool:
        """Whether a document of this path would have been found, were it still there."""
        return any(
            path.startswith(prefix) if prefix.endswith("/") else path == prefix
            for prefix in self.prefixes
        )


@cache
def loaders() -> Mapping[str, Loader]:
    """The loader for each file suffix (lower case, with its dot) that is installed."""
    found: dict[str, Loader] = {}
    for name in plugins.names("loaders"):
        loader: Loader = plugins.build("loaders", name)
        for suffix in loader.suffixes:
            found[suffix] = loader
    return found


def find_documents(roots: Sequence[Path], sources: Iterable[Path] = ()) -> Found:
    """The documents below ``roots``, sorted by path. Raises ``NoSuchPath``.

    A document's path begins with the name of the configured source that it lies in, or else of
    the root itself, so that it is the same from whatever folder and root it is ingested. Hidden
    files and folders are skipped, links are followed once.
    """
    bases = [Path(source).resolve() for source in sources]
    files: dict[str, Path] = {}
    prefixes: list[str] = []
    ignored = 0
    for root in (Path(r) for r in roots):
        if not root.exists():
            raise NoSuchPath(f"{root} does not exist. Name files or folders that do.")
        top = root.resolve()
        base = _base(top, bases)
        prefixes.append(_identity(top, base) + ("/" if top.is_dir() else ""))
        for file in _walk(top, root):
            if file.suffix.lower() not in loaders():
                ignored += 1
                continue
            _add(files, _identity(file, base), file)
    return Found(tuple(SourceFile(files[p], p) for p in sorted(files)), tuple(prefixes), ignored)


def _add(files: dict[str, Path], path: str, file: Path) -> None:
    other = files.setdefault(path, file)
    if other != file:
        raise NoSuchPath(
            f"{other} and {file} would both be the document {path!r}. Rename one of the folders "
            "or ingest them into collections of their own."
        )


def _base(top: Path, bases: list[Path]) -> Path:
    """The folder that identities are relative to: the one around the widest configured source."""
    around = [b for b in bases if top == b or b in top.parents]
    return min(around, key=lambda b: len(b.parts), default=top).parent


def _identity(file: Path, base: Path) -> str:
    return file.relative_to(base).as_posix()


def _walk(top: Path, named: Path) -> Iterator[Path]:
    if top.is_file():
        if top.suffix.lower() not in loaders():
            known = ", ".join(sorted(loaders()))
            raise NoSuchPath(
                f"{named}: no loader reads {top.suffix or 'this'} files. Known: {known}."
            )
        yield top
        return
    seen: set[Path] = set()
    for folder, folders, names in os.walk(top, followlinks=True):
        real = Path(folder).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        yield from (Path(folder) / n for n in sorted(names) if not n.startswith("."))


def load(source: SourceFile) -> Document:
    """Read one document with the loader for its suffix. Raises ``UnreadableDocument``."""
    document = loaders()[source.file.suffix.lower()].load(source.file, source.path)
    if not document.text.strip():
        raise UnreadableDocument(source.path, "it holds no text.")
    return document


def read_text(file: Path, path: str) -> str:
    """The text of a UTF-8 file (with or without BOM), line ends as ``\\n``.

    Raises ``UnreadableDocument`` for what is missing, empty, binary or not UTF-8.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableDocument(path, f"it cannot be opened: {error.strerror}.") from error
    if not data.strip():
        raise UnreadableDocument(path, "it is empty.")
    if b"\0" in data:
        raise UnreadableDocument(path, "it is binary, not text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableDocument(
            path, f"it is not UTF-8 (line {line}). Save it as UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def title_from(file: Path) -> str:
    """A title for a document that brings none: its file name, made readable."""
    words = file.stem.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
