"""Key -> principal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from headgate_core.context import KEY_PREFIX, Context
from headgate_core.errors import Unauthenticated
from headgate_core.types import Principal
from headgate_gateway.plan import Keys, RoutePlan

LOCAL = Principal(key_id="local", name="keyless on loopback", permissions=("bare_pools",))
"""Who calls without a key from this machine while ``auth.keys`` is ``open``."""


@dataclass(slots=True)
class Authenticate:
    """Ends the call with 401 when there is no valid key and keyless use is not allowed."""

    name: ClassVar[str] = "authenticate"
    last: ClassVar[bool] = False
    reenter: ClassVar[bool] = False
    keys: Keys
    open: bool

    @classmethod
    def compile(cls, plan: RoutePlan) -> Authenticate:
        """Every route has it."""
        return cls(plan.parts.keys, plan.parts.settings.auth.keys == "open")

    async def run(self, ctx: Context) -> None:
        """Set ``ctx.principal``. Raises ``Unauthenticated``."""
        if ctx.principal is not None:
            return
        # The official SDKs cannot be built without some key, so a placeholder counts as none
        # where none is needed.
        key = ctx.peer.authorization
        if key and (key.startswith(KEY_PREFIX) or not self.open):
            ctx.principal = await self.keys.find(key)
            if ctx.principal is None:
                raise Unauthenticated("The API key is not known, has expired or was revoked.")
            return
        if not self.open:
            raise Unauthenticated(
                "No API key was sent. Send `Authorization: Bearer hg-…`; "
                "`headgate keys create` makes one."
            )
        if ctx.peer.refused_because:
            raise Unauthenticated(
                f"Keyless use is for this machine alone, and {ctx.peer.refused_because}. "
                "Send `Authorization: Bearer hg-…`; `headgate keys create` makes a key."
            )
        ctx.principal = LOCAL
