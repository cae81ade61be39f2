"""Plugins that configurations in tests name, as somebody else's package would bring them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass
class Reached:
    """A provider with options of every kind; it is never called."""

    api_key: str = ""
    price: Decimal = Decimal(0)
    share: float = 0.0
    anything: dict[str, Any] = field(default_factory=dict)


@dataclass
class Demanding:
    """A plugin with an option that must be given."""

    url: str


class Plain:
    """A class that is no plugin."""
