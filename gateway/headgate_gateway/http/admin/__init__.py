"""The admin API: below ``/admin``, with a key of its own; FastAPI, loaded at its first request."""
