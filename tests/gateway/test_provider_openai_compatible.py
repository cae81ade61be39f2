"""How an upstream is reached: a proxy, a certificate authority of one's own, Azure's addresses."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from raw_upstream import Exchange, RawUpstream, raw_upstream
from running import free_port
from upstream import completion

from headgate_core.errors import ConfigurationError, UpstreamUnreachable
from headgate_core.ports import ModelRequest
from headgate_core.reply import Raw
from headgate_gateway.providers.openai_compatible import OpenaiCompatible

LOOPBACK = ipaddress.ip_address("127.0.0.1")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that no machine trusts, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's own authority")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "ca.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


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
