"""Tables on standard output: as wide as the terminal, and never cut when piped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 240
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def console() -> Console:
    """A console for standard output."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=PIPED_WIDTH)


def plain(value: str, style: str = "") -> Text:
    """Text as it is: no markup, and no control characters, which a caller may have sent."""
    return Text(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", value), style)


def show(
    columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[str] = ()
) -> None:
    """Print rows of plain texts under ``columns``; those named in ``right`` are aligned right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=column in right or column.endswith(" id"),
        )
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console().print(table)
