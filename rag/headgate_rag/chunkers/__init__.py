"""Plugins of kind ``chunkers``: one module each."""
