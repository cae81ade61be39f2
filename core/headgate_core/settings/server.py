"""``server``, ``auth``, ``store``, ``state``, ``telemetry``: how one process runs."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from headgate_core.settings.base import Settings


class LogSettings(Settings):
    """What goes to standard error. Never holds keys or message text."""

    format: Literal["json", "text"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class AdminSettings(Settings):
    """An address of its own for the admin API."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)


class ServerSettings(Settings):
    """Where and how to listen."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    replicas: int = Field(default=1, ge=1)
    drain_s: float = Field(default=60, ge=0)
    max_body_mb: float = Field(default=20, gt=0)
    reload: Literal["watch", "signal", "never"] = "watch"
    """When files are read again: when they change, at SIGHUP alone, or at the next start."""
    done_after_error: bool = False
    """Whether ``[DONE]`` follows the error that ends a stream of chat or text completions, as
    LiteLLM's proxy sends it; clients that wait for it alone then take a failure for a success."""
    log: LogSettings = LogSettings()
    admin: AdminSettings | None = None
    """Where /admin is; left out = on ``port``."""


class AuthSettings(Settings):
    """Who may call."""

    planned: ClassVar[dict[str, str]] = {
        "oidc": "signing in with OpenID Connect",
        "trusted_proxies": "reading the caller's address from a proxy's headers",
    }
    keys: Literal["required", "open"] = "required"
    admin_key: str = ""
    """What the admin API asks for; without one there is no admin API."""


class StoreSettings(Settings):
    """The database. Relative SQLite paths are relative to the configuration file."""

    planned: ClassVar[dict[str, str]] = {"retention": "thinning old calls and scores"}
    url: str = "sqlite:///var/headgate.db"
    when_away: Literal["spool", "refuse"] = "spool"
    """``spool``: calls go on, their records wait in the journal; ``refuse``: 503 meanwhile."""


class StateSettings(Settings):
    """Where limits are counted: ``memory://`` = on this machine."""

    planned: ClassVar[dict[str, str]] = {
        "when_away": "a declared mode for a state server",
        "url: redis*": "state on a Redis server",
    }
    url: Literal["memory://"] = "memory://"


class OtlpSettings(Settings):
    """One OTLP back-end over HTTP; ``/v1/traces`` is added to ``endpoint``."""

    endpoint: str
    headers: dict[str, str] = Field(default={})


class TelemetrySettings(Settings):
    """Spans: names by profile, and where they go beside the local store."""

    planned: ClassVar[dict[str, str]] = {"keep": "thinning spans"}
    profile: Literal["semconv-1.41.1"] = "semconv-1.41.1"
    otlp: list[OtlpSettings] = Field(default=[])
