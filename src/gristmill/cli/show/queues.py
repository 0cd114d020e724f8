"""A table of queues: how many items are where."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from gristmill.cli.show.console import cut, table
from gristmill.cli.show.times import span
from gristmill.model.queue import QueueStatus


def queues_table(queues: Iterable[QueueStatus]) -> Table:
    """Return a table of *queues*; OLDEST is how long the oldest due item has been due."""
    shown = table()
    shown.add_column("HANDLER")
    for name in ("READY", "SCHEDULED", "BLOCKED", "RUNNING", "DEAD", "OLDEST"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for queue in queues:
        shown.add_row(
            cut(queue.name),
            str(queue.ready),
            str(queue.scheduled),
            str(queue.blocked),
            str(queue.running),
            Text(str(queue.dead), "red" if queue.dead else ""),
            span(queue.oldest_age) if queue.ready else "",
            Text("paused" if queue.is_paused else "", "yellow"),
        )
    return shown
