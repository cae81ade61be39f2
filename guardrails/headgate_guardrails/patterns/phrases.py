"""All phrases there are: a check knows one by its place in ``PHRASES``."""

from __future__ import annotations

from headgate_guardrails.patterns import phrases_orders, phrases_planted, phrases_roles
from headgate_guardrails.patterns.phrase import Phrase

PHRASES: tuple[Phrase, ...] = (
    *phrases_orders.PHRASES,
    *phrases_roles.PHRASES,
    *phrases_planted.PHRASES,
)
