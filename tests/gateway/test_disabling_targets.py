"""How long a target is out of use and why: what an operator may write."""

from __future__ import annotations

from pathlib import Path

import pytest
from configs import proxy_config, write_config
from pydantic import ValidationError

from headgate_core.errors import InvalidRequest, NotFound
from headgate_core.settings.load import load_settings
from headgate_core.store import Store
from headgate_gateway.http.admin.targets import Disable, Enable
from headgate_gateway.operations import deployment

HALF = "up/\ud800"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("2h", 7200), ("30d", 2592000), ("007m", 420)]
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert deployment.seconds(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0s", "31d", "1", "1w", "-1s", "1.5h", "\u0661d", "1s\n", "9" * 5000 + "d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="is no duration"):
        deployment.seconds(text)


@pytest.mark.parametrize("why", ["a\nFAKE log line", "a\0", "\x1b[2Jgone", "w" * 501, "\u202eno"])
def test_a_reason_is_one_printable_line(tmp_path: Path, why: str) -> None:
    settings = load_settings(proxy_config(tmp_path, "http://127.0.0.1:1/v1"))
    store = Store(f"sqlite:///{tmp_path}/kept.db")
    with pytest.raises(InvalidRequest, match="in one line of 500 characters at most"):
        deployment.disable(settings, store, "up/fake", "1m", why)


def test_half_a_character_is_refused_in_every_text() -> None:
    with pytest.raises(ValidationError, match="surrogate"):
        Enable(target=HALF)
    for field in ("target", "for", "why"):
        body = {"target": "up/fake", "for": "1m", "why": "x\u3000y", field: HALF}
        with pytest.raises(ValidationError, match="surrogate"):
            Disable.model_validate(body)


def test_a_target_comes_back_wherever_a_slash_stands_in_its_name(tmp_path: Path) -> None:
    text = """\
    auth: {keys: open}
    providers: [{name: team/echo, use: echo}]
    pools: [{name: main, targets: [{provider: team/echo, model: x/y}]}]
    """
    settings = load_settings(write_config(tmp_path, text))
    store = Store.open(settings.store.url)
    try:
        deployment.disable(settings, store, "team/echo/x/y", "5m", "slow")
        assert [t["state"] for t in deployment.targets(settings, store)] == ["disabled"]
        deployment.enable(store, "team/echo/x/y")
        assert [t["state"] for t in deployment.targets(settings, store)] == ["no worker"]
        with pytest.raises(NotFound, match="team/echo/x/y is not disabled"):
            deployment.enable(store, "team/echo/x/y")
    finally:
        store.close()
