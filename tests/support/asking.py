"""Messages in the form that the official client is typed for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import openai
from openai.types.chat import ChatCompletionMessageParam


def user(text: str) -> list[ChatCompletionMessageParam]:
    """One user message."""
    return [{"role": "user", "content": text}]


@contextmanager
def client_of(url: str, key: str = "none") -> Iterator[openai.OpenAI]:
    """The official client for a gateway, without retries of its own; closed at the end."""
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        yield client
