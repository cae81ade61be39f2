"""New connections of our own, checked against the list in force; importing this imports aiohttp."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp

from headgate_core.egress import guard


class GuardedConnector(aiohttp.TCPConnector):
    """Asks once a connection, not once a call. ``ca``: None = the machine's authorities."""

    def __init__(self, ca: ssl.SSLContext | None) -> None:
        # The guard at the sockets hears what a name led to from the system's resolver alone.
        resolver = aiohttp.ThreadedResolver()
        super().__init__(limit=0, keepalive_timeout=30, ssl=ca if ca else True, resolver=resolver)
        self._seen = guard.changes()

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
        """The one way to a new connection. Raises ``EgressRefused``."""
        for url in (req.url, req.proxy):
            if url is not None:
                guard.insist(url.host or "", url.port)
        if self._seen != guard.changes():
            self.clear_dns_cache()  # the guard must hear again what each name leads to
            self._seen = guard.changes()
        return await super()._create_connection(req, traces, timeout)
