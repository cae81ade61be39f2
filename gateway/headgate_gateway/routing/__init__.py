"""Choosing a target and surviving its failure."""
