"""The files of a configuration: read, and compared with what was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from headgate_core.settings.gateway import GatewaySettings
from headgate_core.settings.sources import files_of

Stamp: TypeAlias = tuple[int, int, int, int] | None
"""Times of change, size and inode of a file; None = it is not there."""

FOLDERS = {"routes": "*.yaml", "prompts": "**/*", "guardrails": "**/*"}
"""Beside ``gateway.yaml``: whatever lies in them may be a part of the configuration."""


class Source:
    """One configuration on disk. All methods block; use it from one place at a time."""

    def __init__(self, path: Path, read: Callable[[], GatewaySettings]) -> None:
        self.path = path
        """As it was named, links not followed: a link may lead elsewhere by the next time."""
        self.settings: GatewaySettings | None = None
        """What was read last, where it could be read."""
        self._read = read
        self._seen: Mapping[Path, Stamp] | None = None

    def load(self) -> GatewaySettings:
        """Read all again. Raises ``ConfigurationError``; ``changed`` is False then as well."""
        before = self.stamps()
        self._seen = before
        settings = self._read()
        quiet = self.stamps() == before
        self.settings = settings
        # Files that changed while they were read are read once more; others may have joined.
        self._seen = self.stamps() if quiet else None
        return settings

    def changed(self, stamps: Mapping[Path, Stamp]) -> bool:
        """Whether these are not the stamps of what was read last."""
        return stamps != self._seen

    def stamps(self) -> Mapping[Path, Stamp]:
        """Of every file that the configuration was read from, and of those beside them."""
        return {path: _stamp(path) for path in self._files()}

    def _files(self) -> Iterator[Path]:
        yield self.path
        folders = {self.path.parent}
        if self.settings is not None:
            yield from files_of(self.settings)
            folders.add(self.settings.folder)
        for folder in folders:
            for name, pattern in FOLDERS.items():
                yield from _inside(folder / name, pattern)


def _inside(folder: Path, pattern: str) -> list[Path]:
    """What counts in a folder; the folder itself while it changes too fast to be listed.

    No listing has the folder in it, so such a one is never taken for what was read.
    """
    try:
        return list(filter(_counts, folder.glob(pattern)))
    except OSError:
        return [folder]


def _counts(path: Path) -> bool:
    """Editors' own files come and go; a link counts as what it leads to."""
    return not (path.name.startswith(".") or path.name.endswith(("~", ".swp", ".tmp")))


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
