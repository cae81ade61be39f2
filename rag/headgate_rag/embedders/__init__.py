"""Plugins of kind ``embedders``: one module each."""
