"""A table of jobs: one line each, newest first."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from gristmill.cli.show.console import cut, table
from gristmill.cli.show.times import span
from gristmill.model.job import Job, JobCounts, JobState

STYLES = {
    JobState.RECEIVING: "cyan",
    JobState.QUEUED: "cyan",
    JobState.RUNNING: "blue",
    JobState.CANCELLING: "yellow",
    JobState.COMPLETED: "green",
    JobState.CANCELLED: "yellow",
}
"""Of the word that says the state."""


def jobs_table(jobs: Iterable[Job], now: float) -> Table:
    """Return a table of *jobs*, whose ages are those at *now* on the store's clock."""
    shown = table()
    shown.add_column("JOB", no_wrap=True)
    shown.add_column("HANDLER")
    shown.add_column("STATE", no_wrap=True)
    for name in ("ITEMS", "DONE", "FAILED", "AGE"):
        shown.add_column(name, justify="right", no_wrap=True)
    for job in jobs:
        counts = job.counts
        shown.add_row(
            job.id,
            cut(job.queue),
            Text(job.state, STYLES[job.state]),
            str(counts.total),
            f"{percent(counts)}%",
            Text(str(counts.failed), "red" if counts.failed else ""),
            span(now - job.created_at),
        )
    return shown


def done(counts: JobCounts) -> int:
    """Return how many items have their outcome."""
    return counts.succeeded + counts.failed + counts.cancelled


def percent(counts: JobCounts) -> int:
    """Return how much is done, rounded down: 100 is all."""
    return 100 if counts.total == 0 else done(counts) * 100 // counts.total
