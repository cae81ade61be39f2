"""The one reader of the process environment, and the one writer of it: dependencies kept quiet."""

from __future__ import annotations

import os
from pathlib import Path

QUIET: dict[str, str] = {
    "ANONYMIZED_TELEMETRY": "False",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_TELEMETRY": "False",
    "RAGAS_DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
"""What keeps dependencies from phoning home or fetching, once set before they are imported."""


def get(name: str, default: str | None = None) -> str | None:
    """The variable's text, or ``default`` where it is not set."""
    return os.environ.get(name, default)


def is_set(name: str) -> bool:
    """Whether the variable exists, be it empty."""
    return name in os.environ


def quiet_dependencies() -> None:
    """Switch off telemetry and downloads of dependencies; what the operator has set stands."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def proxies() -> list[str]:
    """Variables that are set and send the connections of libraries through a proxy."""
    names = ("http_proxy", "https_proxy", "all_proxy")
    return [name for one in names for name in (one.upper(), one) if get(name)]


def config() -> Path | None:
    """``HEADGATE_CONFIG``: the gateway file that commands use when they are not told another."""
    return _path("HEADGATE_CONFIG")


def data() -> Path | None:
    """``HEADGATE_DATA_DIR``: the folder of the store and all else, where the file names none."""
    return _path("HEADGATE_DATA_DIR")


def url() -> str | None:
    """``HEADGATE_URL``: a deployment that commands work on over its admin API."""
    return get("HEADGATE_URL") or None


def key() -> str | None:
    """``HEADGATE_KEY``: the key that commands and examples call with."""
    return get("HEADGATE_KEY") or None


def require_servers() -> bool:
    """``HEADGATE_REQUIRE_SERVERS=1``: a test whose server or tool is missing fails, never skips."""
    return get("HEADGATE_REQUIRE_SERVERS", "") in ("1", "true")


def _path(name: str) -> Path | None:
    value = get(name)
    return Path(value).expanduser() if value else None
