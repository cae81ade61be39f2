"""Dependencies are kept quiet, and what the operator set stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgate_core.settings import environment


def test_dependencies_are_told_not_to_phone_home_or_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.environ", {"HF_HUB_OFFLINE": "0"})
    environment.quiet_dependencies()
    assert environment.get("HF_HUB_OFFLINE") == "0"
    assert environment.get("LITELLM_LOCAL_MODEL_COST_MAP") == "True"
    assert environment.get("DO_NOT_TRACK") == "1"
    assert all(environment.is_set(name) for name in environment.QUIET)


def test_headgates_own_variables_are_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_CONFIG", "a/b.yaml")
    monkeypatch.setenv("HEADGATE_DATA_DIR", "")
    monkeypatch.setenv("HEADGATE_REQUIRE_SERVERS", "1")
    monkeypatch.setenv("HEADGATE_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("HEADGATE_KEY", raising=False)
    assert environment.config() == Path("a/b.yaml")
    assert environment.data() is None
    assert environment.require_servers()
    assert environment.url() == "http://127.0.0.1:1"
    assert environment.key() is None
