"""A folder of parts, killed anywhere and resumed, holds what was committed and nothing else."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.checkpoint import Checkpoint, Identity
from gristmill.streams.chunk import Result
from gristmill.streams.formats.arrow_layout import layout_of
from gristmill.streams.formats.parquet_output import ParquetOutput, WriteParquet
from gristmill.streams.sinks.parquet_folder import ParquetFolder

IDENTITY = Identity(version=1, sources=(), handler="m:f", options={})
LAYOUT = layout_of(pa.schema([("a", pa.int64())]))


def result(number):
    body = bytes(WriteParquet("none")(pa.record_batch({"a": [number] * 10})))
    return Result(number=number, body=body, layout=LAYOUT)


class Folder:
    """A sink that is written one chunk a commit."""

    def __init__(self, path, part_bytes=1):
        self.sink = ParquetFolder(path, ParquetOutput("none"), part_bytes=part_bytes)
        self.found = self.sink.open(IDENTITY, overwrite=False)

    def write(self, number):
        self.sink.write(result(number))
        self.sink.commit(Checkpoint(next=number + 1, out=self.sink.length))

    def finish(self):
        self.sink.finish(Checkpoint(next=9, out=self.sink.length, is_done=True), LAYOUT)
        self.sink.close()


def numbers(path):
    return [row["a"] for row in pq.read_table(path).to_pylist()][::10]


def test_parts_end_when_they_are_large_enough(tmp_path):
    folder = Folder(tmp_path / "out", part_bytes=700)
    for number in range(5):
        folder.write(number)
    folder.finish()

    parts = json.loads((tmp_path / "out/_manifest.json").read_text())["parts"]
    assert sum(part["rows"] for part in parts) == 50
    assert 1 < len(parts) < 5
    assert [part["name"] for part in parts] == [f"part-{number:05d}.parquet" for number in range(len(parts))]
    assert numbers(tmp_path / "out") == [0, 1, 2, 3, 4]


def test_what_was_not_committed_is_gone_after_a_resume(tmp_path):
    folder = Folder(tmp_path / "out", part_bytes=1 << 30)
    folder.write(0)
    folder.sink.write(result(7))
    folder.sink.close()

    resumed = Folder(tmp_path / "out", part_bytes=1 << 30)
    assert resumed.found.next == 1
    resumed.write(1)
    resumed.finish()

    assert numbers(tmp_path / "out") == [0, 1]


def test_a_part_that_was_named_after_its_last_commit_goes_on(tmp_path):
    folder = Folder(tmp_path / "out", part_bytes=1)
    folder.write(0)  # commits, then names the part and begins the next: the journal knows of neither
    folder.sink.close()
    (tmp_path / "out/part-00007.parquet").write_text("of a process that is no more")

    resumed = Folder(tmp_path / "out", part_bytes=1)
    assert not (tmp_path / "out/part-00000.parquet").exists()
    resumed.write(1)
    resumed.finish()

    assert numbers(tmp_path / "out") == [0, 1]
    assert not (tmp_path / "out/part-00007.parquet").exists()


def test_a_finish_that_was_interrupted_is_finished(tmp_path):
    folder = Folder(tmp_path / "out")
    folder.write(0)
    folder.finish()
    journal = tmp_path / "out/_gristmill.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))  # killed before the last line

    resumed = Folder(tmp_path / "out")
    assert not resumed.found.is_done
    resumed.finish()

    assert numbers(tmp_path / "out") == [0]
    assert len(json.loads((tmp_path / "out/_manifest.json").read_text())["parts"]) == 1


def test_a_run_that_is_done_is_left_as_it_is(tmp_path):
    folder = Folder(tmp_path / "out")
    folder.write(0)
    folder.finish()

    again = Folder(tmp_path / "out")

    assert again.found.is_done
    again.sink.close()
    assert numbers(tmp_path / "out") == [0]


def test_no_row_at_all_leaves_one_part_with_the_columns(tmp_path):
    Folder(tmp_path / "out").finish()

    assert pq.read_table(tmp_path / "out").schema == pa.schema([("a", pa.int64())])


def test_a_committed_part_that_is_gone_stops_the_resume(tmp_path):
    folder = Folder(tmp_path / "out")
    folder.write(0)
    folder.write(1)
    folder.sink.close()
    (tmp_path / "out/part-00000.parquet").unlink()

    with pytest.raises(SinkError, match=r"part-00000.parquet is gone"):
        Folder(tmp_path / "out")


def test_parts_of_somebody_else_are_not_overwritten_unasked(tmp_path):
    (tmp_path / "out").mkdir()
    pq.write_table(pa.table({"a": [5]}), tmp_path / "out/part-00000.parquet")

    with pytest.raises(ConfigurationError, match="--overwrite"):
        Folder(tmp_path / "out")

    sink = ParquetFolder(tmp_path / "out", ParquetOutput("none"), part_bytes=1)
    assert sink.open(IDENTITY, overwrite=True) is None
    sink.close()
    assert not (tmp_path / "out/part-00000.parquet").exists()


def test_a_file_or_a_folder_nowhere_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="is a file"):
        Folder(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="no folder"):
        Folder(tmp_path / "none/out")


@pytest.mark.parametrize("killed_after", range(6))
def test_killed_after_any_commit_and_resumed_all_rows_are_there_once(tmp_path, killed_after):
    folder = Folder(tmp_path / "out", part_bytes=700)
    for number in range(killed_after):
        folder.write(number)
    folder.sink.write(result(99))
    shutil.copytree(tmp_path / "out", tmp_path / "killed")  # as it lies when the process dies now
    folder.sink.close()

    resumed = Folder(tmp_path / "killed", part_bytes=700)
    for number in range(resumed.found.next if resumed.found else 0, 6):
        resumed.write(number)
    resumed.finish()

    assert numbers(tmp_path / "killed") == [0, 1, 2, 3, 4, 5]
