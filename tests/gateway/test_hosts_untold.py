"""Callers read what kind of failure it was; the operator alone reads the host and the file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from configs import write_config
from in_process import Answer, eventually, opened
from raw_upstream import Exchange, raw_upstream
from running import free_port, headgate, serving

from headgate_core.records import CallRecord

CONFIG = """\
auth: {{keys: open}}
{more}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}"}}}}
  - {{name: sdk, use: litellm, options: {{api_base: "{url}", api_key: "env:UP_KEY"}}}}
  - name: proxied
    use: openai_compatible
    options: {{base_url: "https://upstream.invalid/v1", proxy: "{proxy}"}}
pools:
  - {{name: up, targets: [{{provider: up, model: m}}], retries: {{attempts: 1}}}}
  - {{name: sdk, targets: [{{provider: sdk, model: openai/m}}], retries: {{attempts: 1}}}}
  - {{name: proxied, targets: [{{provider: proxied, model: m}}], retries: {{attempts: 1}}}}
"""


def config(folder: Path, url: str, *, proxy: str = "http://127.0.0.1:9", more: str = "") -> Path:
    return write_config(folder, CONFIG.format(url=url, proxy=proxy, more=more))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UP_KEY", "sk-1")


async def asked(config: Path, pool: str) -> tuple[Answer, CallRecord]:
    async with opened(config) as place:
        told = await place.chat(pool)
        await eventually(lambda: bool(place.records), "the call is not recorded")
        return told, place.records[-1]


@pytest.mark.parametrize("pool", ["up", "sdk"])
@pytest.mark.parametrize(
    ("host", "kind"),
    [("127.0.0.1", "the connection was refused"), ("vllm-7.invalid", "its name is not known")],
)
def test_an_upstream_that_cannot_be_reached_is_named_to_the_operator_alone(
    tmp_path: Path, pool: str, host: str, kind: str
) -> None:
    url = f"http://{host}:{free_port()}/v1"
    told, record = asyncio.run(asked(config(tmp_path, url), pool))
    assert told.error is not None
    assert (told.status, told.error["code"]) == (502, "upstream_unreachable")
    assert told.error["message"] == f"Cannot reach the upstream: {kind}."
    assert told.error["target"] == record["attempts"][0]["provider"] + (
        "/openai/m" if pool == "sdk" else "/m"
    )
    assert host not in str(told.body)
    assert f"Cannot connect to host {host}:" in record["attempts"][0]["error"]


def test_a_host_that_is_not_listed_is_named_to_the_operator_alone(tmp_path: Path) -> None:
    files = config(tmp_path, "http://127.0.0.1:9/v1", more="egress: {allow: [127.0.0.1]}")
    text = files.read_text().replace("https://upstream.invalid/v1", "https://127.0.0.1:9/v1")
    files.write_text(text.replace('{api_base: "http://127.0.0.1:9/v1", ', "{"))
    told, record = asyncio.run(asked(files, "sdk"))
    assert told.error is not None and told.error["code"] == "egress_refused"
    assert "openai.com" not in str(told.body)
    assert "add 'api.openai.com'" in record["attempts"][0]["error"]


def test_a_proxy_that_refuses_is_no_reply_and_its_password_is_nowhere(tmp_path: Path) -> None:
    async def scenario() -> tuple[Answer, CallRecord]:
        async def answer(exchange: Exchange) -> None:
            await exchange.json(407, b"")

        async with raw_upstream(answer) as fake:
            at = fake.url.removesuffix("/v1").replace("http://", "http://me:hidden@")
            files = config(tmp_path, "http://127.0.0.1:9/v1")
            files.write_text(files.read_text().replace('"http://127.0.0.1:9"', "file:proxy"))
            (tmp_path / "proxy").write_text(at)
            return await asked(files, "proxied")

    told, record = asyncio.run(scenario())
    assert told.error is not None
    assert (told.status, told.error["code"]) == (502, "upstream_unreachable")
    assert told.error["message"] == "Cannot reach the upstream: its proxy refused."
    said = record["attempts"][0]["error"]
    assert "407" in said
    assert "hidden" not in said


def test_a_reply_that_breaks_off_tells_no_address(tmp_path: Path) -> None:
    async def scenario() -> tuple[Answer, CallRecord]:
        async def answer(exchange: Exchange) -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n"
            await exchange.write(head + b'\r\n{"choices": [')
            exchange.writer.close()

        async with raw_upstream(answer) as fake:
            return await asked(config(tmp_path, fake.url), "up")

    told, record = asyncio.run(scenario())
    assert told.error is not None and told.error["code"] == "upstream_truncated"
    assert told.error["message"] == "The reply was cut off: the connection was closed."
    assert record["attempts"][0]["error"].startswith("upstream_truncated: The reply was cut off: ")


def test_the_operator_reads_the_host_in_the_trace_and_the_caller_in_no_record(
    tmp_path: Path,
) -> None:
    port = free_port()
    files = config(tmp_path, f"http://127.0.0.1:{port}/v1")
    with serving(files) as server:
        status, body = server.chat("up", "hi")
        assert status == 502
        call_id = body["error"]["call_id"]
        status, own = server.get(f"/v1/calls/{call_id}")
        assert (status, own["attempts"][0]["error"]) == (200, "upstream_unreachable")
        assert "127.0.0.1" not in str(own)
    shown = headgate("traces", "show", call_id, "--config", str(files))
    assert f"Cannot connect to host 127.0.0.1:{port}" in " ".join(shown.stdout.split())
