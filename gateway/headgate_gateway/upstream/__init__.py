"""The other end of a call: what is sent to an OpenAI-compatible upstream, and what comes back."""
