"""Patterns and arithmetic that checks are made of; pure functions over text, no check by itself."""
