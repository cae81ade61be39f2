"""The members of a policy file, ``guardrails/NAME.yaml`` beside the gateway's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field, field_validator, model_validator

from headgate_core.errors import ConfigurationError, Problem
from headgate_core.settings import yaml_source
from headgate_core.settings.base import Settings
from headgate_core.settings.document import Document
from headgate_core.settings.files import validate
from headgate_core.settings.plugin_checks import Use, check_use
from headgate_core.types import At

Mode: TypeAlias = Literal["enforce", "shadow"]
OnError: TypeAlias = Literal["block", "pass", "flag"]

DROPPABLE: frozenset[At] = frozenset({"passages", "tool_results"})
"""Places whose texts are one of several, so that one can be left out."""


class RefusalSettings(Settings):
    """What a caller gets when a check blocks: a reply with ``text``, or an error with it."""

    as_: Literal["message", "error"] = Field(default="message", alias="as")
    text: str = Field(default="I cannot help with that request.", min_length=1)


class CheckSettings(Settings):
    """One check of a policy. Members left out take the policy's value."""

    planned: ClassVar[dict[str, str]] = {
        "restore": "giving callers their own masked values back",
        "otherwise": "a second action after a retry",
        "action: retry": "retrying with the finding named",
    }
    name: str = Field(min_length=1)
    use: str = Field(min_length=1)
    at: list[At] = Field(min_length=1)
    action: Literal["block", "mask", "drop", "flag"]
    mode: Mode | None = None
    on_error: OnError | None = None
    max_ms: float = Field(default=1000, gt=0)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("at")
    @classmethod
    def _once_each(cls, at: list[At]) -> list[At]:
        repeated = sorted({place for place in at if at.count(place) > 1})
        if repeated:
            raise ValueError(f"{', '.join(repeated)} is named more than once")
        return at

    @model_validator(mode="after")
    def _drop_where_there_are_others(self) -> CheckSettings:
        wrong = [place for place in self.at if place not in DROPPABLE]
        if self.action == "drop" and wrong:
            raise ValueError(
                f"check {self.name!r}: action 'drop' leaves out one text of several: it works at "
                f"passages and tool_results, not at {', '.join(wrong)}; use 'block' or 'mask' there"
            )
        return self


class PolicySettings(Settings):
    """A whole policy: its checks run on every call of the routes that name it."""

    name: str = Field(min_length=1)
    description: str = ""
    mode: Mode = "enforce"
    on_error: OnError = "block"
    refusal: RefusalSettings = RefusalSettings()
    checks: list[CheckSettings] = Field(min_length=1)

    @field_validator("checks")
    @classmethod
    def _unique_names(cls, checks: list[CheckSettings]) -> list[CheckSettings]:
        names = [check.name for check in checks]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"two checks are named {', '.join(map(repr, repeated))}")
        return checks


class PolicyFile(NamedTuple):
    """A policy file as read. ``policy`` is None where nothing useful remains of it."""

    document: Document
    policy: PolicySettings | None


def read_policy(folder: Path, name: str) -> PolicyFile:
    """The policy ``name`` from ``folder``, its faults noted in its document, those of the checks'
    plugins too. Raises ``ConfigurationError`` when there is no such file or it is not YAML.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ConfigurationError(
            f"There is no guard policy {name!r}: {path} does not exist. "
            f"Policies there: {', '.join(known) or 'none'}."
        )
    document = yaml_source.read(path)
    policy = validate(document, PolicySettings)
    if policy is None:
        return PolicyFile(document, None)
    if policy.name != name:
        fault = f"`name` is {policy.name!r}; it must be {name!r}, as the file is called."
        document.problem(("name",), fault)
    for index, check in enumerate(policy.checks):
        check_use(document, Use("checks", check.use, check.options, ("checks", index)))
    return PolicyFile(document, policy)


def problems_of(folder: Path, name: str) -> list[Problem]:
    """Every fault of one policy file, with its line."""
    try:
        return read_policy(folder, name).document.problems
    except ConfigurationError as error:
        return list(error.problems) or [Problem(folder / f"{name}.yaml", 1, error.message)]
