"""litellm's SDK fetches nothing that a caller names: an address in a message is data."""

from __future__ import annotations

import importlib
from typing import Any

from headgate_core.errors import UpstreamUntranslated


def fetch_nothing(sdk: Any) -> None:
    """Refuse every address of a caller before a connection is opened.

    For models that take images and files as data alone the SDK would fetch them itself, from
    inside the gateway's network. It looks at each such address with one function first.
    """
    gate: Any = importlib.import_module("litellm.litellm_core_utils.url_utils")

    def refuse(url: str) -> tuple[str, str]:
        raise gate.SSRFError("the gateway fetches nothing for its callers")

    sdk.user_url_validation = True
    gate.validate_url = refuse


def refused_fetch(error: BaseException) -> UpstreamUntranslated | None:
    """The caller's fault behind an exception of the SDK, if it is an address not fetched."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__name__ == "SSRFError":
            return UpstreamUntranslated(
                "This model takes images and files as data alone, and the gateway fetches "
                "nothing for its callers: send them as `data:` URLs.",
                param="messages",
            )
        cause = cause.__cause__ or cause.__context__
    return None
