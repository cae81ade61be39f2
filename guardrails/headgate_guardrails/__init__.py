"""Guardrails: policies, their checks, and the enforcer that clears text piece by piece."""
