"""Serving of own models; filled by the vLLM launch plans."""
