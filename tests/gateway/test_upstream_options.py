"""Options of a provider: what no call could be sent with is said at start, not in each call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from configs import write_config
from in_process import opened
from raw_upstream import Exchange, raw_upstream
from running import headgate

from headgate_core.errors import ConfigurationError, UpstreamUnreachable
from headgate_core.ports import ModelRequest
from headgate_gateway.providers.openai_compatible import OpenaiCompatible
from headgate_gateway.upstream.errors import LONGEST_WAIT_S

URL = "http://127.0.0.1:9/v1"


def config(folder: Path, **options: str) -> Path:
    inner = ", ".join(f"{k}: {v}" for k, v in {"base_url": f'"{URL}"', **options}.items())
    return write_config(
        folder,
        f"""
        auth: {{keys: open}}
        providers: [{{name: up, use: openai_compatible, options: {{{inner}}}}}]
        pools: [{{name: main, targets: [{{provider: up, model: m}}], retries: {{attempts: 1}}}}]
        """,
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base_url": f'"{URL}?api-version=2024-10-21"'}, "the option `query`"),
        ({"base_url": f'"{URL}#top"'}, "without `?` or `#`"),
        ({"proxy": '"127.0.0.1:3128"'}, "`proxy`: expected the address of an HTTP proxy"),
        ({"proxy": '"socks5://127.0.0.1:1080"'}, "found socks5"),
        ({"proxy": "env:PROXY"}, "found ftp"),
        ({"max_reply_mb": "0"}, "`max_reply_mb`: expected a number of more than 0, found 0."),
        ({"max_reply_mb": "-1"}, "`max_reply_mb`: expected a number of more than 0, found -1."),
        ({"api_keys": "[env:TWO_LINES]"}, "the value for the header Authorization holds a line"),
        ({"headers": "{x-a: env:TWO_LINES}"}, "the value for the header x-a holds a line break"),
        ({"headers": "{x a: b}"}, "'x a' cannot be the name of a header"),
        ({"key_header": "api key"}, "`key_header`: 'api key' cannot be the name of a header"),
    ],
)
def test_what_no_call_could_be_sent_with_is_said_by_check(
    tmp_path: Path, options: dict[str, str], says: str
) -> None:
    env = {"TWO_LINES": "sk-HIDDEN\nx-evil: 1", "PROXY": "ftp://me:HIDDEN@proxy:1"}
    done = headgate("check", "--config", str(config(tmp_path, **options)), env=env)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert says in done.stderr
    assert "HIDDEN" not in done.stderr


def test_usual_options_are_taken() -> None:
    OpenaiCompatible(
        URL, api_keys=["sk-1"], proxy="http://me:pw@proxy.example.com:3128", headers={"x-a": "b\tc"}
    )
    with pytest.raises(ConfigurationError):
        OpenaiCompatible(URL, max_reply_mb=float("inf"))


def test_a_key_with_a_line_end_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-1\n")
    sent: list[str] = []

    async def answer(exchange: Exchange) -> None:
        sent.append(exchange.headers["authorization"])
        await exchange.json(400, b'{"error": {"message": "seen"}}')

    async def scenario() -> None:
        async with raw_upstream(answer) as fake:
            options = {"base_url": f'"{fake.url}"', "api_keys": "[env:KEY]"}
            async with opened(config(tmp_path, **options)) as place:
                assert (await place.chat("main")).status == 400

    asyncio.run(scenario())
    assert sent == ["Bearer sk-1"]


def test_words_that_no_request_can_be_sent_with_are_a_failure_that_falls_back() -> None:
    """They are refused at start; a plugin of one's own may put them in later all the same."""

    async def scenario() -> UpstreamUnreachable:
        provider = OpenaiCompatible("http://127.0.0.1:9/v1")
        provider.headers["x-a"] = "1\n2"
        body: dict[str, Any] = {"messages": []}
        try:
            with pytest.raises(UpstreamUnreachable) as raised:
                await provider.chat(ModelRequest(body, False), "m")
        finally:
            await provider.close()
        return raised.value

    failure = asyncio.run(scenario())
    assert (failure.retryable, failure.sent) == (True, False)


@pytest.mark.parametrize("header", ["Retry-After", "Retry-After-Ms"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_senseless_retry_after_is_no_fault_of_ours(
    tmp_path: Path, header: str, status: int
) -> None:
    async def answer(exchange: Exchange) -> None:
        headers = f"{header}: {'9' * 400}\r\n"
        await exchange.json(status, b'{"error": {"message": "slow down"}}', headers)

    async def scenario() -> None:
        async with (
            raw_upstream(answer) as fake,
            opened(config(tmp_path, base_url=f'"{fake.url}"')) as place,
        ):
            told = await place.chat("main")
        assert told.status == (429 if status == 429 else 502)
        assert told.error is not None and told.error["upstream_status"] == status
        assert 0 < int(told.headers["retry-after"]) <= LONGEST_WAIT_S

    asyncio.run(scenario())
