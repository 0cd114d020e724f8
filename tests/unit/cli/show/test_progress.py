from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from gristmill.cli.show.progress import ProgressKind, progress_view
from gristmill.streams.chunk import Counts
from gristmill.streams.report import Report, Stalls


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def report(clock: Clock, **fields: Any) -> Report:
    return Report(**{"total": 1000, "counts": Counts(), "stalls": Stalls(clock), **fields})


def move(found: Report, clock: Clock, seconds: float, rows: int) -> None:
    clock.now += seconds
    found.counts.read += rows
    found.rows += rows
    found.weight += 10 * rows
    found.commit()


def test_json_is_a_line_each_second_and_one_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    found = report(clock)
    view = progress_view(ProgressKind.JSON, Console(stderr=True), clock)
    view.look(found)
    for _ in range(10):
        move(found, clock, 0.25, 5)
        view.look(found)
    found.is_done = True
    view.look(found)
    view.close()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["seconds"] for line in lines] == [0.0, 1.0, 2.0, 2.5]
    assert [line["read"] for line in lines] == [0, 20, 40, 50]
    assert [line.get("is_done", False) for line in lines] == [False, False, False, True]
    assert (lines[1]["rows_per_second"], lines[1]["seconds_left"], lines[1]["total"]) == (20.0, 4.0, 1000)
    assert "seconds_left" not in lines[0]
    assert lines[-1]["stalls"] == {"workers": 0.0, "order": 0.0, "sink": 0.0, "source": 0.0}


def test_json_ends_with_what_became_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    found = report(clock, codes={"bad": 2})
    view = progress_view(ProgressKind.JSON, Console(stderr=True), clock)
    view.look(found)
    clock.now += 0.5
    found.counts.blank = 3
    view.look(found)
    view.end(found)  # it was stopped, and no second is over
    found.is_done = True
    view.look(found)
    view.end(found)  # it is said already
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["seconds"] for line in lines] == [0.0, 0.5, 0.5]
    assert [line.get("blank") for line in lines] == [None, 3, 3]
    assert lines[-1]["codes"] == {"bad": 2}


def test_json_tells_of_a_run_that_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    view = progress_view(ProgressKind.JSON, Console(stderr=True), Clock())
    view.end(report(Clock(), is_done=True, was_done=True))
    assert json.loads(capsys.readouterr().err)["is_done"]


def test_lines_come_each_ten_seconds_and_say_no_share_of_what_nobody_knows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    found = report(clock)
    view = progress_view(ProgressKind.LINES, Console(stderr=True), clock)
    for _ in range(11):
        view.look(found)
        move(found, clock, 2.0, 5)
    found.total = None
    clock.now += 10.0
    view.look(found)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(" 25%, 25 rows, 250 B; 2 rows/s; 0 failed; waits for workers; 30 s left")
    assert lines[2].startswith("55 rows")
    assert "left" not in lines[2]


def test_a_bar_shows_and_goes(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=150)
    view = progress_view(ProgressKind.AUTO, console, clock)
    found = report(clock)
    view.look(found)
    found.counts.failed = 3
    move(found, clock, 1.0, 50)
    view.look(found)
    view.close()
    assert "50%" in text.getvalue()
    assert "3 failed" in text.getvalue()
    assert capsys.readouterr().err == ""


def test_without_a_terminal_lines_are_shown_and_none_where_none_are_wanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    console = Console(file=io.StringIO())
    for kind in (ProgressKind.AUTO, ProgressKind.NONE):
        view = progress_view(kind, console, clock)
        clock.now += 11.0
        view.look(report(clock))
        view.close()
    assert len(capsys.readouterr().err.splitlines()) == 1
