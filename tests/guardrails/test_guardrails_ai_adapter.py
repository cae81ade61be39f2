"""Validators of guardrails-ai run as checks: in process, silent, and only when one is named."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from guards_world import capability, compiled, every_cut, streamed, unsplit, write

from headgate_core.errors import ConfigurationError, MissingExtra
from headgate_guardrails import quiet


def _installed() -> bool:
    try:
        return bool(version("guardrails-ai"))
    except PackageNotFoundError:
        return False


needs_package = pytest.mark.skipif(not _installed(), reason="guardrails-ai is not installed")

CHECK = """
- name: rival
  use: guardrails_ai
  at: [output]
  action: %s
  options: {validator: "guard_validators:%s", arguments: {word: %s}, window: 40%s}
"""


@pytest.fixture(autouse=True)
def _foreign_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own, raised while it is imported
        yield


@needs_package
def test_error_spans_are_masked_the_same_however_the_stream_is_cut(tmp_path: Path) -> None:
    guards = compiled(tmp_path, CHECK % ("mask", "Banned", "Initech", ", spans: true"))
    text = "Neither Initech nor Globex; some more words until Initech ends this text of ours."
    expected = unsplit(guards, text)
    assert expected[0] == text.replace("Initech", "[BANNED]")
    for pieces in every_cut(text):
        assert streamed(guards, pieces) == expected


@needs_package
def test_a_validator_without_spans_may_flag_and_block_but_not_mask(tmp_path: Path) -> None:
    flagged = compiled(tmp_path, CHECK % ("flag", "Silent", "Initech", ""))
    out, _, verdicts = unsplit(flagged, "We like Initech.")
    assert out == "We like Initech."
    assert [v[3] for v in verdicts] == ["flag"]
    blocking = compiled(tmp_path, CHECK % ("block", "Silent", "Initech", ""))
    assert unsplit(blocking, "We like Initech.")[1] == "test/rival"
    write(tmp_path, CHECK % ("mask", "Silent", "Initech", ""))
    with pytest.raises(ConfigurationError, match="as a whole"):
        capability(tmp_path).compile(["test"])


@needs_package
def test_building_and_running_opens_no_socket_and_leaves_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[object] = []

    def refuse(*args: object, **kwargs: object) -> None:
        tried.append(args)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    guards = compiled(tmp_path, CHECK % ("flag", "Banned", "Initech", ", spans: true"))
    assert unsplit(guards, "Initech")[2]
    names = {t.name for t in threading.enumerate()}
    assert tried == []
    assert not any("Otel" in name or "Batch" in name for name in names), names


@needs_package
@pytest.mark.parametrize(
    ("validator", "says"),
    [
        ("guard_validators:Missing", "has no class 'Missing'"),
        ("nowhere_at_all:Class", "guardrails-ai-NAME"),
        ("guard_validators:version", "no guardrails-ai Validator"),
        ("guard_validators:Needy", "needs metadata"),
        ("guard_validators:Fragile", "cannot be built"),
    ],
)
def test_a_validator_that_cannot_be_used_is_a_configuration_error(
    tmp_path: Path, validator: str, says: str
) -> None:
    write(
        tmp_path,
        "- {name: rival, use: guardrails_ai, at: [output], action: flag, "
        f"options: {{validator: '{validator}'}}}}",
    )
    with pytest.raises(ConfigurationError, match=says):
        capability(tmp_path).compile(["test"])


def test_without_the_package_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(quiet, "version", absent)
    write(tmp_path, CHECK % ("flag", "Banned", "Initech", ""))
    with pytest.raises(MissingExtra, match=r"headgate\[guardrails\]"):
        capability(tmp_path).compile(["test"])


def test_the_other_checks_do_not_import_it() -> None:
    code = (
        "import sys, headgate_guardrails.guards, headgate_guardrails.checks.pii, "
        "headgate_guardrails.checks.secrets, headgate_guardrails.checks.injection, "
        "headgate_guardrails.checks.guardrails_ai; "
        "sys.exit('guardrails.validator_base' in sys.modules)"
    )

    async def run() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        return await process.wait()

    assert asyncio.run(run()) == 0
