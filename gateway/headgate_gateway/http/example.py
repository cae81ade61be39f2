"""Two ways to make the first call, ready to be copied."""

from __future__ import annotations

from headgate_core.settings.gateway import GatewaySettings

QUESTION = "How are retries decided?"

_TEXT = """
Headgate is ready on {url}. A first call, with curl and with the official client:

curl -s {url}/v1/chat/completions -H 'Content-Type: application/json' \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "{question}"}}]}}'

from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="none")
question = [{{"role": "user", "content": "{question}"}}]
print(client.chat.completions.create(model="{model}", messages=question).choices[0].message.content)
"""


def first_call(settings: GatewaySettings) -> str:
    """The curl call and the four lines of Python for the first route."""
    url = f"http://{settings.server.host}:{settings.server.port}"
    model = settings.routes[0].name if settings.routes else settings.pools[0].name
    return _TEXT.format(url=url, model=model, question=QUESTION)
