"""Importing guardrails-ai so that it reports nothing to anybody."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from headgate_core.plugins import missing_extra
from headgate_core.settings import environment


def require_guardrails_ai() -> None:
    """Raise ``MissingExtra`` where the package is absent.

    Its import name proves nothing: a folder called ``guardrails`` imports as an empty package.
    """
    absent = False
    try:
        version("guardrails-ai")
    except PackageNotFoundError:
        absent = True
    if absent:
        raise missing_extra("guardrails")


def silence_guardrails_ai() -> None:
    """Switch its telemetry off in this process; the user's own ``~/.guardrailsrc`` is not touched.

    Its settings are replaced in memory, and the one telemetry object is put in place unstarted, so
    that neither an exporter nor its thread is ever made. Raises ``MissingExtra``.
    """
    require_guardrails_ai()
    environment.quiet_dependencies()
    from guardrails.classes.rc import RC
    from guardrails.settings import settings
    from guardrails.utils.hub_telemetry_utils import HubTelemetry

    settings.rc = RC(enable_metrics=False, use_remote_inferencing=False)
    telemetry: Any = HubTelemetry
    telemetry._instance = object.__new__(HubTelemetry)
