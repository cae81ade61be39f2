"""Prompts by name and label: files in a folder, versions and labels in the store.

All methods block; at start they run before serving, later in threads.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from headgate_core.errors import ConfigurationError
from headgate_core.plugins import unknown
from headgate_core.store import Store
from headgate_core.store.tables import prompt_labels, prompt_versions
from headgate_gateway.prompts.prompt import Prompt, build, parse
from headgate_gateway.prompts.template import in_store

FILE = "file"
"""The label that always means the file as it stands."""

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[0-9a-f]{6,64}")


class Label(NamedTuple):
    """A label row: which version it names, who set it (``seeded`` = at first start) and when."""

    label: str
    version: str
    set_by: str
    set_unix_ns: int


class Prompts:
    """The prompts of one configuration folder."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self._store = store

    def names(self) -> list[str]:
        """Names of all prompt files, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.md"))

    def resolve(self, reference: str, *, seed: bool = True) -> Prompt:
        """The prompt behind ``name@file``, ``name@label`` or ``name@<start of a version>``.

        A label without a row is set to the file's version and recorded as ``seeded``, unless
        ``seed`` is False. Raises ``ConfigurationError`` when there is no such prompt.
        """
        name, _, label = reference.partition("@")
        if not _NAME.fullmatch(name) or not label:
            raise ConfigurationError(
                f"{reference!r} does not name a prompt; write name@production or name@file."
            )
        if label == FILE:
            return self.file(name)
        if _VERSION.fullmatch(label):
            return self._stored(name, self.version(name, label))
        return self._stored(name, self._labelled(name, label, seed))

    def file(self, name: str) -> Prompt:
        """The prompt as its file stands now; its version is kept in the store."""
        if name not in self.names():
            hint = f" Prompts are {self.folder}/NAME.md."
            raise ConfigurationError(unknown("prompt", name, self.names()) + hint)
        prompt = parse(self.folder / f"{name}.md", self.folder)
        with self._store.begin() as db:
            _keep(db, prompt)
        return prompt

    def labels(self, name: str) -> list[Label]:
        """The label rows of a prompt, sorted by label."""
        query = select(
            prompt_labels.c.label,
            prompt_labels.c.version,
            prompt_labels.c.set_by,
            prompt_labels.c.set_unix_ns,
        ).where(prompt_labels.c.name == name)
        with self._store.begin() as db:
            return [Label(*row) for row in db.execute(query.order_by(prompt_labels.c.label))]

    def versions(self, name: str) -> list[str]:
        """The stored versions of a prompt, newest first."""
        query = select(prompt_versions.c.version).where(prompt_versions.c.name == name)
        newest_first = query.order_by(prompt_versions.c.created_unix_ns.desc())
        with self._store.begin() as db:
            return [str(row.version) for row in db.execute(newest_first)]

    def version(self, name: str, start: str) -> str:
        """The one stored version that begins with ``start``. Raises ``ConfigurationError``."""
        stored = self.versions(name)
        found = [version for version in stored if version.startswith(start[:12])]
        if len(found) == 1:
            return found[0]
        fault = "several versions begin" if found else "no stored version begins"
        raise ConfigurationError(
            f"{name}@{start}: {fault} with {start!r}. Stored: {', '.join(stored) or 'none'}."
        )

    def set_label(self, name: str, label: str, version: str, set_by: str) -> str:
        """Let ``label`` name a version (``file``, another label or the start of a version).

        Returns the full version. Raises ``ConfigurationError``.
        """
        if not _LABEL.fullmatch(label) or _VERSION.fullmatch(label) or label == FILE:
            raise ConfigurationError(
                f"{label!r} cannot be a label; a label begins with a letter, is not {FILE!r} "
                "and does not look like a version."
            )
        prompt = self.resolve(f"{name}@{version}", seed=False)
        row = _label_row(name, label, prompt.version, set_by)
        with self._store.begin() as db:
            statement = _insert(db, prompt_labels).values(row)
            changed = {key: row[key] for key in ("version", "set_by", "set_unix_ns")}
            db.execute(
                statement.on_conflict_do_update(index_elements=["name", "label"], set_=changed)
            )
        return prompt.version

    def _labelled(self, name: str, label: str, seed: bool) -> str:
        """The version that a label names; two processes that seed at once agree on one."""
        rows = {row.label: row.version for row in self.labels(name)}
        if label in rows:
            return rows[label]
        if not seed:
            known = (FILE, *rows)
            raise ConfigurationError(unknown(f"label of prompt {name!r}", label, known))
        prompt = self.file(name)
        with self._store.begin() as db:
            row = _label_row(name, label, prompt.version, "seeded")
            db.execute(_insert(db, prompt_labels).values(row).on_conflict_do_nothing())
        return {row.label: row.version for row in self.labels(name)}[label]

    def _stored(self, name: str, version: str) -> Prompt:
        query = select(prompt_versions.c.source, prompt_versions.c.partials).where(
            prompt_versions.c.name == name, prompt_versions.c.version == version
        )
        with self._store.begin() as db:
            row = db.execute(query).first()
        if row is None:
            raise ConfigurationError(
                f"The store has no text for {name}@{version}, which a label names; "
                f"set the label again: headgate prompts label {name} LABEL file"
            )
        return build(row.source, self.folder / f"{name}.md", in_store(json.loads(row.partials)))


def _keep(db: Connection, prompt: Prompt) -> None:
    row = {
        "name": prompt.name,
        "version": prompt.version,
        "source": prompt.source,
        "partials": json.dumps(dict(prompt.partials)),
        "created_unix_ns": time.time_ns(),
    }
    db.execute(_insert(db, prompt_versions).values(row).on_conflict_do_nothing())


def _label_row(name: str, label: str, version: str, set_by: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "version": version,
        "set_by": set_by,
        "set_unix_ns": time.time_ns(),
    }


def _insert(db: Connection, table: Table) -> Any:
    """An insert that knows ``on_conflict``: the same in both databases that are supported."""
    dialect = postgresql if db.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
