"""Plugins of kind ``retrievers``: one module each."""
