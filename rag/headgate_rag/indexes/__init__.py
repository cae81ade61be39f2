"""Plugins of kind ``indexes``: one module each."""
