"""A table of dead items, by handler and code."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from gristmill.cli.show.console import cut, table
from gristmill.cli.show.times import span
from gristmill.model.queue import DeadGroup


def dead_table(groups: Iterable[DeadGroup], now: float) -> Table:
    """Return a table of *groups*; LAST is how long ago the last of them died, at *now*."""
    shown = table()
    shown.add_column("HANDLER")
    shown.add_column("CODE")
    shown.add_column("DEAD", justify="right", no_wrap=True)
    shown.add_column("LAST", justify="right", no_wrap=True)
    shown.add_column("ERROR")
    for group in groups:
        shown.add_row(
            cut(group.queue),
            cut(group.code),
            str(group.items),
            span(now - group.last_at),
            cut(group.error or ""),
        )
    return shown
