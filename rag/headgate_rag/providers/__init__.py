"""Plugins of kind ``providers``: one module each."""
