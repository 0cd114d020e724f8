"""Whole runs in this process: real files, real sinks, the engine that runs tasks in place."""

from __future__ import annotations

import json
import random
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill import Failed, batch
from gristmill.batching.executors.remote_error import RemoteError
from gristmill.errors import ConfigurationError, EndRun, SinkError, SourceError, TooManyFailures, WorkersLost
from gristmill.streams.chunk import Task
from gristmill.streams.engines.inline import Inline
from gristmill.streams.engines.protocol import Broken, Died, Event, Mark
from gristmill.streams.options import ReadOptions, RunOptions
from gristmill.streams.pipeline import Pipeline
from gristmill.streams.report import Report
from gristmill.streams.sinks.file import FileSink
from gristmill.streams.stopping import Stopping


@batch(max_size=4)
def odd(rows: list[dict[str, str]]) -> list[dict[str, str] | Failed | None]:
    return [
        None if row["id"].endswith("9") else row if int(row["id"]) % 2 else Failed("even", "even")
        for row in rows
    ]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType(odd.__module__)
    module.odd = odd  # type: ignore[attr-defined]  # where workers look for it
    monkeypatch.setitem(sys.modules, odd.__module__, module)
    (tmp_path / "in.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(1, 101)))
    return tmp_path


GOOD = [n for n in range(1, 101) if n % 2 and n % 10 != 9]
EVEN = list(range(2, 101, 2))


def pipeline(read: ReadOptions | None = None, **options: Any) -> Pipeline:
    return Pipeline(
        "in.csv", odd, "out.csv", read=read,
        options=RunOptions(workers=0, **{"chunk_bytes": 20, "commit_seconds": 0, **options}),
    )  # fmt: skip


def check(folder: Path, *, is_ordered: bool = True) -> None:
    order: Callable[[list[int]], list[int]] = list if is_ordered else sorted
    assert order([int(line) for line in (folder / "out.csv").read_text().split()[1:]]) == GOOD
    letters = [json.loads(line) for line in (folder / "out.csv.dead.ndjson").read_text().splitlines()]
    assert order([int(letter["item"]["id"]) for letter in letters]) == EVEN
    if is_ordered:
        assert [letter["row"] for letter in letters] == EVEN


def test_a_run_counts_what_became_of_every_row(folder: Path) -> None:
    seen: list[bool] = []
    report = pipeline().run(watch=lambda each: seen.append(each.is_done))
    check(folder)
    counts = report.counts
    assert (counts.read, counts.succeeded, counts.failed, counts.filtered) == (100, len(GOOD), 50, 10)
    assert report.codes == {"even": 50}
    assert report.committed == report.total == (folder / "in.csv").stat().st_size
    assert (report.is_done, report.was_done, seen[-1], any(seen[:-1])) == (True, False, True, False)
    again = pipeline().run()
    assert (again.was_done, again.counts, again.rows) == (True, counts, 0)


@pytest.mark.parametrize("after", range(1, 15, 2))
@pytest.mark.parametrize("ordered", [True, False])
def test_a_run_that_is_stopped_goes_on_and_ends_as_if_it_had_not(
    folder: Path, after: int, *, ordered: bool
) -> None:
    stopping = Stopping()
    looks = 0

    def watch(report: Report) -> None:
        nonlocal looks
        looks += 1
        if looks == after:
            stopping.ask()

    first = pipeline(ordered=ordered).run(watch=watch, stopping=stopping)
    assert not first.is_done
    assert first.counts.read < 100
    report = pipeline(ordered=ordered).run()
    assert report.counts.read == 100
    assert report.start == first.committed
    check(folder, is_ordered=ordered)


class Whimsical(Inline):
    """An engine whose answers come late and out of order, and whose workers die as they are told."""

    def __init__(self, fate: Callable[[Task], Died | Broken | None] = lambda _: None, seed: int = 1) -> None:
        super().__init__()
        self.fate = fate
        self.chance = random.Random(seed)
        self.held: list[Event] = []

    @property
    def workers(self) -> int:
        return 3

    @property
    def room(self) -> int:
        return max(0, 6 - len(self._waiting))

    def wait(self, timeout: float | None = None) -> list[Event]:
        while self._waiting:
            ended = self.fate(self._waiting[0])
            self.held += [ended] if ended else super().wait(timeout)
            if ended:
                self._waiting.popleft()
        return [self.held.pop(self.chance.randrange(len(self.held)))]


@pytest.mark.parametrize("ordered", [True, False])
def test_late_answers_are_put_in_order_or_written_as_they_come(folder: Path, *, ordered: bool) -> None:
    pipeline(ordered=ordered).run(Whimsical())
    check(folder, is_ordered=ordered)
    ids = [int(line) for line in (folder / "out.csv").read_text().split()[1:]]
    assert (ids == GOOD) == ordered


def test_a_worker_that_dies_costs_the_guilty_row(folder: Path) -> None:
    def fate(task: Task) -> Died | None:
        """Row 31 of the file kills; each chunk of this size has about 7 rows."""
        first = 3 if task.chunk.start < 22 else 0
        rows = [
            int(line)
            for line in (folder / "in.csv")
            .read_bytes()[max(task.chunk.start, first) : task.chunk.end]
            .split()
        ]
        if 31 not in rows:
            return None
        at = rows.index(31)
        if at in task.convicted or (task.only is not None and not task.only[0] <= at < task.only[1]):
            return None
        mark = Mark(first=0, stop=len(rows)) if task.only is None else None
        return Died(task=task, reason="was killed", is_timeout=False, mark=mark)

    report = pipeline().run(Whimsical(fate))
    assert report.counts.failed == 51
    assert report.codes == {"even": 50, "crashed": 1}
    assert report.deaths >= 3
    assert "31" not in (folder / "out.csv").read_text().split()


def test_workers_that_die_without_a_row_end_the_run_with_what_is_done(folder: Path) -> None:
    def fate(task: Task) -> Died | None:
        if task.chunk.start < 100:
            return None
        return Died(task=task, reason="was killed", is_timeout=False, mark=None)

    with pytest.raises(WorkersLost, match=r"in.csv, .* the last one was killed"):
        pipeline().run(Whimsical(fate))
    assert pipeline().run().start > 0
    check(folder)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (RemoteError("theirs.Odd", "no"), "theirs.Odd: no"),
    ],
    ids=repr,
)
def test_an_error_of_a_worker_ends_the_run_with_one_line_and_its_traceback_in_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture, error: BaseException, said: str
) -> None:
    def fate(task: Task) -> Broken | None:
        return None if task.chunk.start < 100 else Broken(task=task, error=error)

    with pytest.raises(WorkersLost) as caught:
        pipeline().run(Whimsical(fate))
    assert str(caught.value).startswith("a worker failed at in.csv, ")
    assert str(caught.value).endswith(f", and no row is to blame: {said}")
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert pipeline().run().start > 0
    check(folder)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_handler_ends_the_run_with_what_is_done_and_no_row_is_to_blame(
    folder: Path, *, ordered: bool
) -> None:
    class Away(EndRun):
        pass

    def fate(task: Task) -> Broken | None:
        return None if task.chunk.start < 100 else Broken(task=task, error=Away("the server is away"))

    with pytest.raises(Away, match="the server is away"):
        pipeline(ordered=ordered).run(Whimsical(fate))
    assert pipeline(ordered=ordered).run().start > 0
    check(folder, is_ordered=ordered)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ordered", [True, False])
def test_before_a_chunk_that_cannot_be_read_all_is_written(folder: Path, seed: int, *, ordered: bool) -> None:
    text = (folder / "in.csv").read_text()
    (folder / "in.csv").write_text(text.replace("\n60\n", '\n6"0"\n'))
    with pytest.raises(SourceError, match="a quote stands where"):
        pipeline(ordered=ordered).run(Whimsical(seed=seed))
    done = [int(line) for line in (folder / "out.csv.partial").read_text().split()[1:]]
    before = [n for n in GOOD if n < 50]
    assert set(before) <= set(done)
    if ordered:
        assert done == [n for n in GOOD if n <= done[-1]]


@pytest.mark.parametrize("ordered", [True, False])
def test_rows_before_a_quote_that_is_never_closed_are_written(folder: Path, *, ordered: bool) -> None:
    lines = [f'{number},"a, {number}"\n' for number in range(1, 60_000, 2)]
    lines[20_000] = '40001,"never closed\n'
    (folder / "in.csv").write_text("id,note\n" + "".join(lines))
    wrong = len("id,note\n" + "".join(lines[:20_001]) + '40003,"')
    with pytest.raises(SourceError, match=f"byte {wrong:,}: a quote stands where"):
        pipeline(ordered=ordered, chunk_bytes=140_000).run()
    done = [int(line.split(",")[0]) for line in (folder / "out.csv.partial").read_text().splitlines()[1:]]
    before = [number for number in range(1, 40_000, 2) if number % 10 != 9]
    assert done == before if ordered else set(before) <= set(done)


def test_too_many_failures_end_the_run_and_what_is_done_is_safe(folder: Path) -> None:
    with pytest.raises(TooManyFailures):
        pipeline(max_failures=20).run()
    with pytest.raises(TooManyFailures):
        pipeline(max_failures=20).run()
    report = pipeline(max_failures=50).run()
    assert report.start > 0
    check(folder)


def test_an_output_that_cannot_be_written_ends_the_run_and_keeps_the_last_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pipeline()
    assert isinstance(run.sink, FileSink)
    write, left = run.sink.write, 5

    def full(result: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise OSError(28, "No space left on device")
        write(result)

    monkeypatch.setattr(run.sink, "write", full)
    with pytest.raises(SinkError, match=r"out.csv cannot be written: No space left on device"):
        run.run()
    assert pipeline().run().start > 0
    check(folder)


def test_a_handler_that_cannot_be_loaded_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @batch
    def inner(rows: list[Any]) -> list[Any]:
        return rows

    with pytest.raises(ConfigurationError, match="cannot be sent to a worker"):
        Pipeline("in.csv", inner, "out.csv", options=RunOptions(workers=0)).run()
    assert [each.name for each in folder.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("limit", [0, 1, 2, 8, 55, 100, 1000])
def test_a_limit_of_rows_is_exact_and_holds_when_the_run_is_resumed(folder: Path, limit: int) -> None:
    stopping = Stopping(asked=True)
    pipeline(limit=limit).run(stopping=stopping)
    report = pipeline(limit=limit).run()
    assert report.counts.read == min(limit, 100)
    assert report.is_done
