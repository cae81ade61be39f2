"""A gateway over litellm's SDK, and an upstream that answers in each hosted dialect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from configs import write_config
from hosted_bodies import DIALECTS, Dialect
from in_process import Answer, Place, opened
from raw_upstream import CHUNKED, Exchange, RawUpstream, raw_upstream

AWS = "{aws_access_key_id: a, aws_secret_access_key: env:TEST_KEY, aws_region_name: us-east-1, "
OWN_WORDS = ("Traceback", "site-packages", "litellm", "MidStream", ".py", "BerriAI", "Error:")
"""What no caller is to read."""
SLOW_S = 0.5

Work = Callable[[Place, RawUpstream], Awaitable[None]]


def configured(folder: Path, url: str, one: Dialect | None, kinds: Sequence[str]) -> Path:
    """A pool for each dialect, or for ``one`` a pool for each kind; ``-safe`` has a fallback.

    Each kind has a target of its own, so that what fails there rests no other one.
    """
    rows = [(d.name, d) for d in DIALECTS] if one is None else [(kind, one) for kind in kinds]
    lines = ["auth: {keys: open}", "providers:", "  - {name: echo, use: echo}"]
    lines += [f"  - {{name: {name}, use: litellm, {_options(d, url)}}}" for name, d in rows]
    lines += ["pools:", "  - {name: spare, targets: [{provider: echo, model: echo}]}"]
    for name, d in rows:
        pool = f'targets: [{{provider: {name}, model: "{d.model}"}}], retries: {{attempts: 1}}'
        slow = f", timeouts: {{first_token_s: {SLOW_S}, answer_s: {SLOW_S}}}"
        pool += slow if name.startswith("hang") else ""
        lines.append(f"  - {{name: {name}, {pool}}}")
        lines.append(f"  - {{name: {name}-safe, {pool}, fallbacks: [spare]}}")
    return write_config(folder, "\n".join(lines))


def _options(one: Dialect, url: str) -> str:
    base = url.removesuffix("/v1")
    if one.name == "bedrock":
        return f'options: {{arguments: {AWS}aws_bedrock_runtime_endpoint: "{base}"}}}}'
    places = {"gemini": f"{base}/gem", "cohere": f"{base}/v2/chat", "anthropic": base}
    return f'options: {{api_key: "env:TEST_KEY", api_base: "{places.get(one.name, url)}"}}'


def with_hosted(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    work: Work,
    one: Dialect | None = None,
    kinds: Sequence[str] = (),
) -> None:
    """Do the work in a gateway of its own, whose upstream waits for a script."""
    monkeypatch.setenv("TEST_KEY", "test-key")

    async def run() -> None:
        async def unset(exchange: Exchange) -> None:
            raise AssertionError("the test has set no script")

        async with (
            raw_upstream(unset) as fake,
            opened(configured(folder, fake.url, one, kinds)) as place,
        ):
            await work(place, fake)

    asyncio.run(run())


def streams(
    one: Dialect, pieces: list[bytes], *, end: bool | None = True
) -> Callable[..., Awaitable[None]]:
    """The stream in these pieces; without ``end`` the connection breaks, for None it stays."""

    async def script(exchange: Exchange) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {one.content_type}\r\n"
        await exchange.write(head.encode() + CHUNKED)
        for piece in pieces:
            if piece:
                await exchange.chunk(piece)
        if end:
            await exchange.write(b"0\r\n\r\n")
        elif end is not None:
            exchange.writer.close()

    return script


def whole(data: bytes, *, length: int | None = None) -> Callable[..., Awaitable[None]]:
    """A reply in one piece; with a ``length`` greater than its own it is cut off."""

    async def script(exchange: Exchange) -> None:
        size = len(data) if length is None else length
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        )
        await exchange.write(head.encode() + data)
        if length is not None:
            exchange.writer.close()

    return script


def clean(message: str) -> bool:
    """Whether an error's message is about the call alone, in one line."""
    return "\n" not in message and not any(word in message for word in OWN_WORDS)


def calls_of(answer: Answer) -> list[tuple[str, str]]:
    """The tool calls of a stream: name and arguments, put together."""
    found: dict[int, list[str]] = {}
    for body in answer.chunks:
        for choice in body.get("choices") or ():
            for call in choice["delta"].get("tool_calls") or ():
                told = found.setdefault(call["index"], ["", ""])
                told[0] += call["function"].get("name") or ""
                told[1] += call["function"].get("arguments") or ""
    return [(name, arguments) for name, arguments in found.values()]
