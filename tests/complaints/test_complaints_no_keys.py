"""C25: no way to be open to the network without keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from configs import write_config
from running import run, serving

from headgate_core.errors import ConfigurationError
from headgate_core.settings.load import load_settings

ECHO = """\
server: {{host: "{host}"}}
auth: {{keys: {keys}}}
providers: [{{name: echo, use: echo}}]
pools: [{{name: e, targets: [{{provider: echo, model: echo}}]}}]
routes: [{{name: plain, pool: e}}]
"""
LOCAL = ("127.0.0.1", "127.8.8.8", "::1", "localhost")
PUBLIC = ("0.0.0.0", "::", "192.0.2.1", "gateway.example.com", "localhost.example.com", "")


@pytest.mark.parametrize("host", [*LOCAL, *PUBLIC])
@pytest.mark.parametrize("keys", ["open", "required"])
def test_a_file_that_is_open_to_the_network_is_refused(
    tmp_path: Path, keys: str, host: str
) -> None:
    config = write_config(tmp_path, ECHO.format(host=host, keys=keys))
    if keys == "open" and host in PUBLIC:
        with pytest.raises(ConfigurationError, match="`open` lets anybody in"):
            load_settings(config)
    else:
        load_settings(config)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gateway.example.com"])
@pytest.mark.parametrize("how", ["file", "option", "variable"])
def test_no_start_on_a_public_address_without_keys(tmp_path: Path, host: str, how: str) -> None:
    inside = {"file": host, "option": "127.0.0.1", "variable": "env:BIND"}[how]
    config = write_config(tmp_path, ECHO.format(host=inside, keys="open"))
    arguments = ["serve", "--config", str(config), "--port", "0", "--workers", "2"]
    done = run(*arguments, *(["--host", host] if how == "option" else []), env={"BIND": host})
    assert done.returncode == 2
    assert "loopback" in done.stderr or "`open`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "keys", "status"),
    [("127.0.0.1", "open", 200), ("127.0.0.1", "required", 401), ("0.0.0.0", "required", 401)],
)
def test_what_does_start_lets_nobody_in_without_a_key_from_afar(
    tmp_path: Path, host: str, keys: str, status: int
) -> None:
    config = write_config(tmp_path, ECHO.format(host="127.0.0.1", keys=keys))
    with serving(config, ["--host", host]) as server:
        assert server.chat("plain", "hi")[0] == status
        assert server.get("/v1/models")[0] == status
        if keys == "open":
            return  # on loopback anybody is let in, with whatever a client needs as a key
        for key in ("sk-1234", "hg-", "hg-master", "null", "undefined"):
            assert server.get("/v1/models", {"Authorization": f"Bearer {key}"})[0] == 401
            assert server.get("/v1/models", {"x-api-key": key})[0] == 401
