"""Who may enter the admin API; what is behind is built at the first request that may."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from headgate_core.errors import Forbidden, Unauthenticated
from headgate_gateway.http.asgi import Receive, Scope, Send
from headgate_gateway.http.peer import peer_of
from headgate_gateway.reload.reloader import Again

if TYPE_CHECKING:
    from headgate_gateway.build import Gateway


class AdminOff(Forbidden):
    """The configuration has no admin key."""

    code = "admin_api_off"


class AdminEntry:
    """The ASGI application below ``/admin``."""

    def __init__(self, gateway: Gateway, again: Again) -> None:
        self._gateway = gateway
        self._again = again
        self._api: Any = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises ``Unauthenticated`` or ``AdminOff``, whatever is asked for."""
        self._authenticate(scope)
        async with self._building:
            self._api = self._api or await asyncio.to_thread(self._build)
        await self._api(scope, receive, send)

    def _authenticate(self, scope: Scope) -> None:
        wanted = self._gateway.settings.auth.admin_key
        if not wanted:
            raise AdminOff(
                "The admin API is off: set `auth.admin_key: env:HEADGATE_ADMIN_KEY` to switch it "
                "on, then restart or reload."
            )
        given = peer_of(scope).authorization
        if not hmac.compare_digest(_digest(given), _digest(wanted)):
            raise Unauthenticated(
                "The admin API wants its own key: send `Authorization: Bearer ` and the value of "
                "auth.admin_key."
            )

    def _build(self) -> Any:
        from headgate_gateway.http.admin.api import api_of

        return api_of(self._gateway, self._again)


def _digest(text: str) -> bytes:
    """Of one length whatever the text, so that comparing takes the same time."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
