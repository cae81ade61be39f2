"""``egress``: the hosts that the gateway may connect to."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from headgate_core.egress.allow import AllowList, parse
from headgate_core.settings.base import Settings


def _entry(text: str) -> str:
    parse(text)
    return text


class EgressSettings(Settings):
    """Left out, nothing is refused; an empty list refuses every connection."""

    allow: list[Annotated[str, AfterValidator(_entry)]]
    """Host names, ``*.`` names, addresses and networks; names and addresses may have a port."""

    def listed(self) -> AllowList:
        """The list to ask."""
        return AllowList.of(self.allow)
