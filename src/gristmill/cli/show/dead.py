"""A table of dead items, by handler and code."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from gristmill.cli.show.console import plain, table
from gristmill.cli.show.times import span
from gristmill.model.queue import DeadGroup


def dead_table(groups: Iterable[DeadGroup], now: float) -> Table:
    """Return a table of *groups*; LAST is how long ago the last of them died, at *now*."""
    shown = table()
    shown.add_column("HANDLER", no_wrap=True, overflow="ellipsis")
    shown.add_column("CODE", no_wrap=True, overflow="ellipsis")
    shown.add_column("DEAD", justify="right", no_wrap=True, min_width=4)
    shown.add_column("LAST", justify="right", no_wrap=True, min_width=4)
    shown.add_column("ERROR", no_wrap=True, overflow="ellipsis", ratio=1)
    for group in groups:
        shown.add_row(
            plain(group.queue),
            plain(group.code),
            str(group.items),
            span(now - group.last_at),
            plain(group.error or ""),
        )
    return shown
