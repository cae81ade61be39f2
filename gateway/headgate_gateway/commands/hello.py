"""What ``make run`` shows: two ways to make the first call, ready to be copied."""

from __future__ import annotations

import sys
from pathlib import Path

from headgate_core.settings.gateway import GatewaySettings

QUESTION = "How are retries decided?"

_TEXT = """
Headgate answers questions about itself on {url} (route {model}).

curl -s {url}/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "{question}"}}]}}'

from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="none")
question = [{{"role": "user", "content": "{question}"}}]
print(client.chat.completions.create(model="{model}", messages=question).choices[0].message.content)
"""


def text(settings: GatewaySettings) -> str:
    """The curl call and the four lines of Python for the first route."""
    url = f"http://{settings.server.host}:{settings.server.port}"
    return _TEXT.format(url=url, model=settings.routes[0].name, question=QUESTION)


def main(arguments: list[str]) -> None:
    """``python -m headgate_gateway.commands.hello --config FILE``."""
    from headgate_core.settings.load import load_settings

    print(text(load_settings(Path(arguments[-1]))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
