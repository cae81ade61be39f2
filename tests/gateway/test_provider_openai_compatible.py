"""How an upstream is reached: a proxy, a certificate authority of one's own, Azure's addresses."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pytest
from certificates import self_signed
from raw_upstream import Exchange, RawUpstream, raw_upstream
from running import free_port
from upstream import completion

from headgate_core.errors import ConfigurationError, UpstreamStatus, UpstreamUnreachable
from headgate_core.ports import ModelRequest
from headgate_core.reply import Raw
from headgate_gateway.providers.openai_compatible import OpenaiCompatible


async def asked(provider: OpenaiCompatible) -> str:
    """The text of one answer."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}]}
    try:
        reply = await provider.chat(ModelRequest(body, False), "m")
        said = b"".join([e.data async for e in reply.events if isinstance(e, Raw)])
    finally:
        await provider.close()
    text: str = orjson.loads(said)["choices"][0]["message"]["content"]
    return text


def with_upstream(work: Callable[[RawUpstream, list[str]], Coroutine[Any, Any, None]]) -> None:
    """Run against an upstream that keeps the head of each request as ``path header=value``."""
    heads: list[str] = []

    async def answer(exchange: Exchange) -> None:
        seen = {k: v for k, v in exchange.headers.items() if k in ("api-key", "authorization")}
        heads.append(" ".join([exchange.headers[":path"], *(f"{k}={v}" for k, v in seen.items())]))
        await exchange.json(200, orjson.dumps(completion("hello")))

    async def run() -> None:
        async with raw_upstream(answer) as fake:
            await work(fake, heads)

    asyncio.run(run())


def test_azure_gets_its_own_header_for_the_key_and_its_version_in_the_address() -> None:
    async def work(fake: RawUpstream, heads: list[str]) -> None:
        provider = OpenaiCompatible(
            fake.url,
            api_keys=["secret"],
            key_header="api-key",
            query={"api-version": "2024-10-21"},
        )
        assert await asked(provider) == "hello"
        assert heads == ["/v1/chat/completions?api-version=2024-10-21 api-key=secret"]

    with_upstream(work)


def test_calls_go_through_the_proxy_that_is_named() -> None:
    async def work(proxy: RawUpstream, heads: list[str]) -> None:
        nowhere = f"http://127.0.0.1:{free_port()}/v1"
        at = proxy.url.removesuffix("/v1")
        assert await asked(OpenaiCompatible(nowhere, api_keys=["k"], proxy=at)) == "hello"
        assert heads == [f"{nowhere}/chat/completions authorization=Bearer k"]
        with pytest.raises(UpstreamUnreachable):
            await asked(OpenaiCompatible(nowhere, api_keys=["k"]))

    with_upstream(work)


def test_a_certificate_is_checked_with_the_authority_that_is_named(tmp_path: Path) -> None:
    certificate, private = self_signed(tmp_path)

    async def work(fake: RawUpstream, heads: list[str]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private)
        server = await asyncio.start_server(fake.handle, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            assert await asked(OpenaiCompatible(url, ca_file=str(certificate))) == "hello"
            with pytest.raises(UpstreamUnreachable, match=r"(?i)certificate"):
                await asked(OpenaiCompatible(url))
        finally:
            server.close()
        assert heads == ["/v1/chat/completions"]  # nothing was sent to whom nobody vouches for

    with_upstream(work)


def test_a_file_that_holds_no_certificates_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificates here\n")
        with pytest.raises(ConfigurationError, match=r"`ca_file`: .*\.pem cannot be read"):
            OpenaiCompatible("https://127.0.0.1/v1", ca_file=str(path))


def probed(statuses: dict[str, int], keys: list[str]) -> tuple[str, list[str]]:
    """How a probe ends, and with which keys it asked; a server that answers keys so."""
    seen: list[str] = []

    async def answer(exchange: Exchange) -> None:
        key = exchange.headers.get("authorization", "").removeprefix("Bearer ")
        seen.append(key)
        await exchange.json(statuses[key], b"{}")

    async def scenario() -> str:
        async with raw_upstream(answer) as fake:
            provider = OpenaiCompatible(fake.url, keys)
            try:
                await provider.probe()
            except UpstreamStatus as error:
                return str(error.upstream_status)
            finally:
                await provider.close()
        return "ok"

    return asyncio.run(scenario()), seen


def test_a_probe_takes_any_key_that_works() -> None:
    statuses = {"dead": 401, "forbidden": 403, "good": 200}
    assert probed(statuses, ["dead", "forbidden", "good"]) == ("ok", [*statuses])
    assert probed(statuses, ["dead", "forbidden"])[0] == "403"


def test_a_key_that_rests_is_probed_last() -> None:
    async def answer(exchange: Exchange) -> None:
        seen.append(exchange.headers["authorization"])
        status = 401 if seen[-1].endswith("dead") else 200
        await exchange.json(status, orjson.dumps(completion("hello")))

    async def scenario() -> None:
        async with raw_upstream(answer) as fake:
            provider = OpenaiCompatible(fake.url, ["dead", "good"])
            body: dict[str, Any] = {"messages": []}
            with pytest.raises(UpstreamStatus):
                await provider.chat(ModelRequest(body, False), "m")
            seen.clear()
            await provider.probe()
            await provider.close()

    seen: list[str] = []
    asyncio.run(scenario())
    assert seen == ["Bearer good"]


@pytest.mark.parametrize(("status", "ends"), [(404, "ok"), (405, "ok"), (429, "ok"), (500, "500")])
def test_a_server_without_a_list_of_models_is_there(status: int, ends: str) -> None:
    assert probed({"": status}, []) == (ends, [""])
