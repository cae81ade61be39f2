"""Plugins of kind ``loaders``: one module each."""
