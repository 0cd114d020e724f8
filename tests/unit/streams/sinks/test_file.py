from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.chunk import Counts, Result
from gristmill.streams.formats.text_output import TextOutput
from gristmill.streams.sinks.file import FileSink

IDENTITY = Identity(version=1, sources=(), handler="m:h", options={})
OTHER = Identity(version=1, sources=(), handler="m:g", options={})
LAYOUT = b'["a"]'


def sink_in(folder: Path) -> FileSink:
    return FileSink(folder / "out.csv", TextOutput(delimiter=","))


def result(text: str) -> Result:
    return Result(number=0, body=text.encode(), layout=LAYOUT)


def come(sink: FileSink, rows: int) -> Checkpoint:
    return Checkpoint(out=sink.length, counts=Counts(read=rows))


def run_to_the_end(folder: Path) -> list[str]:
    """Run, or go on; copy the folder after each step."""
    sink = sink_in(folder)
    found = sink.open(IDENTITY, overwrite=False)
    done = 0 if found is None else found.counts.read
    steps = []

    def step(name: str) -> None:
        copy = folder.parent / f"{folder.name}.{len(steps)}"
        shutil.copytree(folder, copy)
        steps.append(str(copy))

    if found is None or not found.is_done:
        for number in range(done, 3):
            sink.write(result(f"{number}\n"))
            step("written")
            sink.commit(come(sink, number + 1))
            step("committed")
        sink.finish(Checkpoint(out=sink.length, counts=Counts(read=3), is_done=True), None)
        step("done")
    sink.close()
    return steps


def test_whatever_step_it_is_killed_after_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    steps = run_to_the_end(folder)
    for each in [folder, *map(Path, steps)]:
        run_to_the_end(each)
        assert (each / "out.csv").read_text() == "a\n0\n1\n2\n"
        assert sorted(file.name for file in each.iterdir()) == ["out.csv", "out.csv.journal"]


def test_a_partial_file_that_a_journal_calls_done_only_waits_for_its_name(tmp_path: Path) -> None:
    run_to_the_end(tmp_path)
    (tmp_path / "out.csv").rename(tmp_path / "out.csv.partial")
    sink = sink_in(tmp_path)
    found = sink.open(IDENTITY, overwrite=False)
    sink.close()
    assert found is not None
    assert found.is_done
    assert (tmp_path / "out.csv").read_text() == "a\n0\n1\n2\n"


def begun(folder: Path) -> None:
    sink = sink_in(folder)
    sink.open(IDENTITY, overwrite=False)
    sink.write(result("1\n"))
    sink.commit(come(sink, 1))
    sink.close()


def test_a_partial_file_that_is_gone_or_short_is_told(tmp_path: Path) -> None:
    begun(tmp_path)
    partial = tmp_path / "out.csv.partial"
    partial.write_text("a")
    sink = sink_in(tmp_path)
    with pytest.raises(SinkError, match="shorter than what was committed"):
        sink.open(IDENTITY, overwrite=False)
    sink.close()
    partial.unlink()
    with pytest.raises(SinkError, match="is gone; put it back"):
        sink.open(IDENTITY, overwrite=False)
    sink.close()
    assert sink.open(IDENTITY, overwrite=True) is None
    sink.close()


def test_another_run_is_refused_once_this_one_has_come_somewhere(tmp_path: Path) -> None:
    sink = sink_in(tmp_path)
    assert sink.open(IDENTITY, overwrite=False) is None
    sink.commit(Checkpoint())
    sink.close()
    assert sink.open(OTHER, overwrite=False) is None
    sink.close()
    begun_by_other = sink_in(tmp_path)
    begun_by_other.open(OTHER, overwrite=False)
    begun_by_other.write(result("1\n"))
    begun_by_other.commit(come(sink, 1))
    begun_by_other.close()
    with pytest.raises(ConfigurationError, match="the handler was m:g, and is now m:h"):
        sink.open(IDENTITY, overwrite=False)
    sink.close()


def test_the_header_stands_once_before_the_first_rows(tmp_path: Path) -> None:
    sink = sink_in(tmp_path)
    sink.open(IDENTITY, overwrite=False)
    sink.write(result(""))
    assert sink.length == 0
    sink.finish(Checkpoint(is_done=True), LAYOUT)
    sink.close()
    assert (tmp_path / "out.csv").read_text() == "a\n"


def test_places_that_cannot_be_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    with pytest.raises(ConfigurationError, match="is a folder"):
        sink_in(tmp_path).open(IDENTITY, overwrite=True)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        sink_in(tmp_path / "none").open(IDENTITY, overwrite=True)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system cannot be told")
def test_what_is_written_begins_to_be_stored_before_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    advise = os.posix_fadvise

    def noted(file: int, start: int, length: int, advice: int) -> None:
        told.append((start, length))
        advise(file, start, length, advice)

    monkeypatch.setattr(os, "posix_fadvise", noted)
    sink = sink_in(tmp_path)
    sink.open(IDENTITY, overwrite=False)
    for _ in range(5):
        sink.write(result("x" * (3 << 20)))
    sink.commit(come(sink, 1))
    sink.close()
    resumed = sink_in(tmp_path)
    assert resumed.open(IDENTITY, overwrite=False) is not None
    resumed.write(result("y" * (5 << 20)))
    resumed.close()

    six = 6 << 20
    assert told == [(0, six + 2), (six + 2, six), (sink.length, 5 << 20)]
    assert (tmp_path / "out.csv.partial").stat().st_size == sink.length + (5 << 20)


def test_what_is_no_regular_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.csv")
    sink = sink_in(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(ConfigurationError, match="no regular file"):
            sink.open(IDENTITY, overwrite=overwrite)
    assert [each.name for each in tmp_path.iterdir()] == ["out.csv"]
