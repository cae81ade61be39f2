"""The wire: ASGI, the OpenAI envelope, server-sent events."""
