"""Caches of delivered replies: one module each."""
