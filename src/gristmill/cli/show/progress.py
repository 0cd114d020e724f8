"""How far a run is: a bar on a terminal, a line now and then elsewhere, or JSON for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.text import Text

from gristmill.cli.show.units import bytes_text, count_text, seconds_text
from gristmill.streams.report import Report
from gristmill.streams.speed import Speedometer

_LINE_EVERY = 10.0
_JSON_EVERY = 1.0


class ProgressKind(StrEnum):
    """How progress is shown."""

    AUTO = "auto"
    BAR = "bar"
    LINES = "lines"
    JSON = "json"
    NONE = "none"


class ProgressView(Protocol):
    """Shows a run; ``look`` is called some times a second."""

    def look(self, report: Report) -> None:
        """Show *report*, if it is time to."""

    def end(self, report: Report) -> None:
        """Show what became of the run, done or stopped, if the last look did not and nobody else will."""

    def close(self) -> None:
        """Show no more."""


def progress_view(
    kind: ProgressKind, console: Console, clock: Callable[[], float] = time.monotonic
) -> ProgressView:
    """Return what shows a run as *kind* on *console*, which is on stderr."""
    if kind is ProgressKind.AUTO:
        kind = ProgressKind.BAR if console.is_terminal else ProgressKind.LINES
    speed = Speedometer(clock)
    if kind is ProgressKind.BAR:
        return _Bar(console, speed)
    if kind is ProgressKind.LINES:
        return _Lines(speed)
    return _Json(speed) if kind is ProgressKind.JSON else _Nothing()


class _Nothing:
    def look(self, report: Report) -> None:
        """Show nothing."""

    def end(self, report: Report) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Show nothing."""


class _Bar:
    """A bar over committed bytes."""

    def __init__(self, console: Console, speed: Speedometer) -> None:
        self._speed = speed
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=None),
            TaskProgressColumn(show_speed=False),
            TextColumn("{task.fields[done]}"),
            TextColumn("{task.fields[speed]}"),
            _Failures(),
            TextColumn("[dim]{task.fields[waits]}"),
            TextColumn("{task.fields[eta]}"),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, done="", speed="", failed=0, waits="", eta="")
        self._progress.start()

    def look(self, report: Report) -> None:
        self._speed.look(report)
        eta = self._speed.eta(report)
        self._progress.update(
            self._task,
            total=report.total,
            completed=report.committed,
            done=f"{count_text(report.counts.read)} rows",
            speed=f"{count_text(self._speed.rows)}/s",
            failed=report.counts.failed,
            waits=f"waits for {report.stalls.most}",
            eta="" if eta is None else f"{seconds_text(eta)} left",
        )

    def end(self, report: Report) -> None:
        pass

    def close(self) -> None:
        self._progress.stop()


class _Failures(ProgressColumn):
    """How many rows failed, if any did."""

    def render(self, task: object) -> Text:
        failed = task.fields["failed"]  # type: ignore[attr-defined]
        return Text(f"{failed:,} failed", style="red") if failed else Text("")


class _Lines:
    """One line every ten seconds."""

    def __init__(self, speed: Speedometer) -> None:
        self._speed = speed
        self._shown_at = 0.0

    def look(self, report: Report) -> None:
        self._speed.look(report)
        if self._speed.seconds - self._shown_at < _LINE_EVERY or report.is_done:
            return
        self._shown_at = self._speed.seconds
        eta = self._speed.eta(report)
        share = "" if not report.total else f"{report.committed / report.total:4.0%}, "
        parts = [
            f"{share}{count_text(report.counts.read)} rows, {bytes_text(report.committed)}",
            f"{count_text(self._speed.rows)} rows/s",
            f"{report.counts.failed:,} failed",
            f"waits for {report.stalls.most}",
        ]
        if eta is not None:
            parts.append(f"{seconds_text(eta)} left")
        print("; ".join(parts), file=sys.stderr, flush=True)  # noqa: T201 - it is what was asked for

    def end(self, report: Report) -> None:
        pass

    def close(self) -> None:
        pass


class Snapshot(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of ``--progress json``.

    Attributes:
        seconds: Since this process began.
        committed: Bytes of the inputs whose results are committed.
        total: All of them; absent if nobody knows.
        read: Rows, with those of earlier parts of the run; so the three below it.
        rows_per_second: Of late.
        seconds_left: Absent if nobody can tell.
        batch_size: Rows of the last handler call.
        waits_for: What was waited for most.
        stalls: Seconds waited for each.
        worker_deaths: Workers that died.
        blank: Empty lines, which are no rows; absent without any.
        codes: code of failures -> how many; absent without any.
        is_done: The output is in its place.
    """

    seconds: float
    committed: int
    total: int | None = None
    read: int
    succeeded: int
    failed: int
    filtered: int
    rows_per_second: float
    seconds_left: float | None = None
    batch_size: int
    waits_for: str
    stalls: dict[str, float]
    worker_deaths: int
    blank: int = 0
    codes: dict[str, int] = {}
    is_done: bool = False


def snapshot(report: Report, speed: Speedometer) -> Snapshot:
    """Return what *report* says now."""
    eta = speed.eta(report)
    counts = report.counts
    return Snapshot(
        seconds=round(speed.seconds, 3),
        committed=report.committed,
        total=report.total,
        read=counts.read,
        succeeded=counts.succeeded,
        failed=counts.failed,
        filtered=counts.filtered,
        rows_per_second=round(speed.rows, 1),
        seconds_left=None if eta is None else round(eta, 1),
        batch_size=report.batch_size,
        waits_for=report.stalls.most,
        stalls={name: round(seconds, 3) for name, seconds in report.stalls.seconds.items()},
        worker_deaths=report.deaths,
        blank=counts.blank,
        codes=report.codes,
        is_done=report.is_done,
    )


class _Json:
    """A line of JSON each second, and one at the end."""

    def __init__(self, speed: Speedometer) -> None:
        self._speed = speed
        self._shown_at = -_JSON_EVERY

    def look(self, report: Report) -> None:
        self._speed.look(report)
        if self._speed.seconds - self._shown_at < _JSON_EVERY and not report.is_done:
            return
        self._show(report)

    def end(self, report: Report) -> None:
        if report.was_done or not report.is_done:
            self._show(report)

    def _show(self, report: Report) -> None:
        self._shown_at = self._speed.seconds
        print(msgspec.json.encode(snapshot(report, self._speed)).decode(), file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        pass
