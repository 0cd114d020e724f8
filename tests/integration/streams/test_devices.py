"""Outputs that are no files: they are written to as they are, and stay what they are."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pyarrow.ipc
import pytest
from tests.integration.streams.conftest import Mill

ROWS = "id,amount\n1,2\n2,3\n3,4\n"


def is_null(path: str) -> bool:
    found = os.stat(path)  # noqa: PTH116 - of a device
    return stat.S_ISCHR(found.st_mode)


@pytest.fixture
def null(mill: Mill) -> Path:
    """A link to the null device, so that no failure takes that of the machine."""
    path = mill.folder / "null"
    path.symlink_to(os.devnull)
    return path


def test_the_null_device_stays_one(mill: Mill, null: Path) -> None:
    mill.write("in.csv", ROWS)
    for _ in range(2):
        said = mill.go("odd", "in.csv", "-o", null.name, "--overwrite", code=3)
        assert "3 rows read: 2 written" in said
    assert null.is_symlink()
    assert is_null(str(null))
    assert sorted(path.name for path in mill.folder.iterdir() if path.name.startswith("null")) == ["null"]


def test_dead_letters_may_go_nowhere_and_to_no_other_device(mill: Mill, null: Path) -> None:
    mill.write("in.csv", ROWS)
    mill.go("odd", "in.csv", "-o", "out.csv", "--dead-letter", null.name, code=3)
    assert is_null(str(null))
    os.mkfifo(mill.folder / "pipe")
    said = mill.go("odd", "in.csv", "-o", "other.csv", "--dead-letter", "pipe", code=2)
    assert "pipe is no regular file" in said


def test_a_named_pipe_gets_the_rows(mill: Mill) -> None:
    mill.write("in.csv", ROWS)
    os.mkfifo(mill.folder / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((mill.folder / "pipe").read_bytes()))
    reader.start()
    mill.go("odd", "in.csv", "-o", "pipe", "--output-format", "csv", code=3)
    reader.join(60)
    assert read[0].splitlines()[0].startswith(b"id,amount")
    assert len(read[0].splitlines()) == 3
    assert stat.S_ISFIFO((mill.folder / "pipe").stat().st_mode)


def test_a_file_that_is_open_already_is_added_to(mill: Mill) -> None:
    mill.write("in.csv", "id,amount\n1,2\n")
    with (mill.folder / "open").open("wb") as file:
        file.write(b"before\n")
        file.flush()
        mill.go("odd", "in.csv", "-o", f"/dev/fd/{file.fileno()}")
    assert (mill.folder / "open").read_bytes().startswith(b'before\n{"id":')


def test_a_link_leads_to_the_output_and_stays_one(mill: Mill) -> None:
    mill.write("in.csv", "id,amount\n1,2\n")
    mill.write("real.csv", "old")
    (mill.folder / "link.csv").symlink_to("real.csv")
    mill.go("odd", "in.csv", "-o", "link.csv", "--overwrite")
    assert (mill.folder / "link.csv").is_symlink()
    assert mill.read("real.csv") == [{"id": "1", "amount": "2"}]


def test_a_stream_of_arrow_goes_to_a_pipe_and_parquet_does_not(mill: Mill) -> None:
    mill.write("in.csv", "id,amount\n1,2\n")
    ran = mill.run("odd", "in.csv", "-o", "-", "--output-format", "arrow", "--workers", "1")
    assert ran.code == 0, ran.said
    assert pyarrow.ipc.open_stream(ran.out).read_all().to_pylist() == [{"id": "1", "amount": "2"}]
    said = mill.go("odd", "in.csv", "-o", "-", "--output-format", "parquet", code=2)
    assert "parquet cannot go to standard output; name a file with -o" in said
