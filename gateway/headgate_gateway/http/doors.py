"""Which of the two listeners a request came by: the one for calls, or the admin API's own."""

from __future__ import annotations

from dataclasses import dataclass

from headgate_core.errors import NotFound
from headgate_gateway.http.asgi import Scope

ADMIN = "/admin"


@dataclass(frozen=True, slots=True)
class Doors:
    """``admin_port``: where the admin API listens; None = where calls do."""

    admin_port: int | None = None

    def asks_admin(self, scope: Scope) -> bool:
        """Whether the admin API is to answer. Raises ``NotFound`` for what is behind the other."""
        path: str = scope["path"]
        wanted = path == ADMIN or path.startswith(f"{ADMIN}/")
        if self.admin_port is None or wanted is self._by_admin(scope):
            return wanted
        if wanted:
            raise NotFound("The admin API has a port of its own.", code="unknown_path")
        raise NotFound(
            "This port is the admin API's; calls go to the gateway's own.", code="unknown_path"
        )

    def _by_admin(self, scope: Scope) -> bool:
        server = scope.get("server")
        return server is not None and server[1] == self.admin_port
