"""Configurations with a list of hosts, and loopback addresses that count as other hosts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from configs import write_config
from upstream import completion

NO_PROXIES = {
    name: "" for one in ("http_proxy", "https_proxy", "all_proxy") for name in (one, one.upper())
}
"""For the environment of a process: the machine's own proxies are none of the test's."""

FAR = "127.0.0.2"
"""Loopback as well, and another host than `localhost` and 127.0.0.1."""


class Elsewhere(ThreadingHTTPServer):
    """Listens on ``FAR``, answers every chat, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((FAR, 0), _Answer)
        self.asked: list[str] = []
        self.arrived = threading.Event()

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://{FAR}:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Elsewhere
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Keep the connection open, as a model server does."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append(self.path)
        self.server.arrived.set()
        said = json.dumps(completion("from afar")).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST
    do_CONNECT = do_POST

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """A server at ``FAR`` until the block ends."""
    with Elsewhere() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Moved(ThreadingHTTPServer):
    daemon_threads = True
    to = ""


class _Redirect(BaseHTTPRequestHandler):
    server: _Moved

    def do_POST(self) -> None:
        """Say where it is now."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(307)
        self.send_header("location", self.server.to + self.path)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def moved(to: str) -> Iterator[str]:
    """The address of a server on 127.0.0.1 that redirects everything to ``to``."""
    with _Moved(("127.0.0.1", 0), _Redirect) as server:
        server.to = to
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def local(url: str) -> str:
    """The same server on this machine by its name."""
    return url.replace("127.0.0.1", "localhost")


def listing(folder: Path, up: str, entries: Sequence[str] | None, more: str = "") -> Path:
    """Routes `plain` (HTTP), `sdk` (litellm at ``up``) and `own` (litellm at its own host)."""
    allow = "" if entries is None else f"egress: {{allow: {json.dumps(list(entries))}}}\n"
    return write_config(
        folder,
        f"""\
auth: {{keys: open}}
{allow}providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{up}", api_keys: [env:UP_KEY]}}}}
  - {{name: sdk, use: litellm, options: {{api_key: env:UP_KEY, api_base: "{up}"}}}}
  - {{name: own, use: litellm, options: {{api_key: env:UP_KEY}}}}
pools:
  - {{name: plain, targets: [{{provider: up, model: fake}}], retries: {{attempts: 1}}}}
  - {{name: sdk, targets: [{{provider: sdk, model: openai/x}}], retries: {{attempts: 1}}}}
  - {{name: own, targets: [{{provider: own, model: openai/x}}], retries: {{attempts: 1}}}}
  - {{name: claude, targets: [{{provider: own, model: anthropic/claude-3-haiku-20240307}}],
      retries: {{attempts: 1}}}}
{more}""",
    )
