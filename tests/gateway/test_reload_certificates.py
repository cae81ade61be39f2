"""A certificate authority that is replaced in its file counts from the next reload on."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import orjson
import pytest
from certificates import self_signed
from configs import write_config
from in_process import Place, opened
from raw_upstream import Exchange, RawUpstream, raw_upstream
from upstream import completion

from headgate_core.settings.load import load_settings
from headgate_gateway.reload.source import Source

CONFIG = """\
auth: {{keys: open}}
providers:
  - {{name: up, use: openai_compatible, options: {{base_url: "{url}", ca_file: tls/ca.pem}}}}
pools:
  - {{name: main, targets: [{{provider: up, model: m}}], retries: {{attempts: 1}}}}
"""


def made(folder: Path) -> tuple[Path, Path]:
    folder.mkdir()
    return self_signed(folder)


async def served(fake: RawUpstream, pair: tuple[Path, Path], port: int = 0) -> asyncio.Server:
    """The upstream with this certificate; it keeps no connection open."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return await asyncio.start_server(fake.handle, "127.0.0.1", port, ssl=context)


async def hello(exchange: Exchange) -> None:
    await exchange.json(200, orjson.dumps(completion("hello")), "Connection: close\r\n")
    exchange.writer.close()


async def followed(place: Place, config: Path, server: asyncio.Server, fake: RawUpstream) -> None:
    """Serve with another certificate; the file that is named holds it from now on."""
    port = server.sockets[0].getsockname()[1]
    server.close()
    fresh = made(config.parent / "fresh")
    ca = config.parent / "tls" / "ca.pem"
    source = Source(config, lambda: load_settings(config))
    source.load()
    renewed = await served(fake, fresh, port)
    try:
        before = place.endpoints.gateway.settings
        ca.write_bytes(fresh[0].read_bytes())
        assert source.changed(source.stamps()), "nobody looks at the file"
        assert (await place.chat("main")).status == 502
        await place.endpoints.gateway.reload(load_settings(config))
        assert place.endpoints.gateway.settings.hash == before.hash
        assert (await place.chat("main")).status == 200
    finally:
        renewed.close()


def test_a_replaced_authority_is_trusted_after_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # a relative path begins where the configuration is
    first = made(tmp_path / "tls")

    async def scenario() -> None:
        async with raw_upstream(hello) as fake:
            server = await served(fake, first)
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
            config = write_config(tmp_path, CONFIG.format(url=url))
            async with opened(config) as place:
                assert (await place.chat("main")).status == 200
                await followed(place, config, server, fake)

    asyncio.run(scenario())
