"""One job: its state, how far it has come, and what of it is dead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gristmill.cli.show.console import plain
from gristmill.cli.show.dead import dead_table
from gristmill.cli.show.jobs import STYLES, done, percent
from gristmill.cli.show.times import moment, span
from gristmill.model.job import Job
from gristmill.model.queue import DeadGroup

_BAR = 40


def job_card(job: Job, dead: Sequence[DeadGroup], now: float) -> Group:
    """Return *job* for people, at *now* on the store's clock."""
    parts: list[RenderableType] = [
        Text.assemble((job.id, "bold"), "  ", plain(job.queue), "  ", (job.state, STYLES[job.state])),
        *(Text(line) for line in _times(job, now)),
        _progress(job),
        Text("  ".join(f"{name} {number}" for name, number in asdict(job.counts).items() if name != "total")),
    ]
    if dead:
        parts += [Text(), dead_table(dead, now), Text(f"Run them again: gristmill jobs retry {job.id}")]
    return Group(*parts)


def _times(job: Job, now: float) -> Iterator[str]:
    yield f"created {moment(job.created_at)}, {span(now - job.created_at)} ago, with priority {job.priority}"
    if job.finished_at is not None:
        took = span(job.finished_at - job.created_at)
        yield f"finished {moment(job.finished_at)}, {span(now - job.finished_at)} ago, after {took}"
    elif job.due_at > now:
        yield f"due {moment(job.due_at)}, in {span(job.due_at - now)}"


def _progress(job: Job) -> Table:
    counts = job.counts
    bar = ProgressBar(total=max(1, counts.total), completed=done(counts) if counts.total else 1, width=_BAR)
    line = Table.grid(padding=(0, 2, 0, 0))
    line.add_row(bar, f"{percent(counts)}%", f"{done(counts)} of {counts.total} items")
    return line
