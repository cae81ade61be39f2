"""The root of the tree, and faults of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


class HeadgateError(Exception):
    """Base of all errors; the HTTP layer and the CLI ask it and decide nothing themselves.

    ``extra`` goes inside the envelope's ``error`` member; never put a secret or text in it.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    sdk_may_retry: ClassVar[bool | None] = None
    """True or False is sent as ``x-should-retry``; None leaves it to the SDK's own rules."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.error_code = code or type(self).code
        self.extra = extra or {}

    @property
    def http_status(self) -> int:
        """The status that the caller sees."""
        return type(self).status

    @property
    def error_type(self) -> str:
        """The envelope's ``type``."""
        return type(self).type

    @property
    def may_retry(self) -> bool | None:
        """What ``x-should-retry`` says; None leaves it to the SDK's own rules."""
        return type(self).sdk_may_retry


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file: where it is, what is wrong, what to do. ``line`` counts from 1."""

    file: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ConfigurationError(HeadgateError):
    """One or more faults in the configuration; ``problems`` holds all of them."""

    code = "configuration_error"
    exit_code = 2

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__("\n".join([message, *map(str, problems)]) if problems else message)
        self.problems = problems


class MissingExtra(ConfigurationError):
    """A component is asked for whose packages are not installed; names the install command."""

    code = "missing_extra"
