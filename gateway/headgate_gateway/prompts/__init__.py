"""Prompt templates: files, versions, labels."""
