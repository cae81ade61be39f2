"""A running gateway whose configuration the test edits."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from configs import proxy_config
from running import Server, headgate, serving, until
from upstream import Upstream, says, upstream

from headgate_core.settings.load import load_settings

BROKEN = "routes: [{name: plain\n"


class Site:
    """A running gateway over a scripted upstream, and its files."""

    def __init__(self, server: Server, fake: Upstream, config: Path) -> None:
        self.server = server
        self.fake = fake
        self.config = config
        self.good = config.read_text()

    def write(self, text: str) -> None:
        """Replace the file as editors do: a new one under its name."""
        fresh = self.config.with_name("gateway.yaml.new")
        fresh.write_text(text)
        fresh.replace(self.config)

    def change(self, old: str, new: str) -> str:
        """Replace a part of the good file; returns the new configuration's hash."""
        assert old in self.good
        self.write(self.good.replace(old, new))
        return load_settings(self.config).hash

    def hup(self) -> None:
        os.kill(self.server.process.pid, signal.SIGHUP)

    def ready(self) -> dict[str, Any]:
        status, body = self.server.get("/ready")
        assert status == 200, body
        found: dict[str, Any] = body
        return found

    def serves(self, config_hash: str) -> None:
        until(lambda: self.ready()["config"] == config_hash)

    def refusal(self, word: str) -> str:
        """The refusal that ``/ready`` shows, once it names ``word``."""

        def told() -> str:
            refused = self.ready()["refused"]
            return refused["error"] if refused and word in refused["error"] else ""

        found: str = until(told)
        return found

    def log(self) -> str:
        return self.server.log.read_text()

    def status(self) -> tuple[int, dict[str, Any]]:
        done = headgate("status", "--json", "--config", str(self.config))
        return done.returncode, json.loads(done.stdout)


@contextmanager
def site(folder: Path, *arguments: str, reload: str = "watch") -> Iterator[Site]:
    more = f"server: {{reload: {reload}, drain_s: 10}}\n"
    with upstream(says("Hello", " world")) as fake:
        config = proxy_config(folder, fake.url, more=more)
        with serving(config, arguments) as server:
            yield Site(server, fake, config)
