"""Metrics: each module is one, named like its file, and scores one call."""
