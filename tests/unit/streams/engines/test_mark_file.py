"""What a worker had noted is there when it is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.streams.engines.mark_file import MarkFile, new_name, read, remove, take
from gristmill.streams.engines.protocol import Mark

WORKER = """
import os, signal
from gristmill.streams.engines.mark_file import MarkFile, new_name
marks = MarkFile(new_name())
print(marks.path, flush=True)
marks.begin(7)
marks.running(3, 9)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def marks() -> Iterator[MarkFile]:
    made = MarkFile(new_name())
    yield made
    made.close()


def test_a_new_file_notes_that_nothing_began(marks: MarkFile) -> None:
    note = read(marks.path)
    assert note is not None
    assert (note.serial, note.mark) == (0, None)


def test_the_last_note_is_what_is_read(marks: MarkFile) -> None:
    marks.begin(4)
    marks.running(0, 10)
    marks.running(10, 12)
    note = read(marks.path)
    assert note is not None
    assert (note.serial, note.mark) == (4, Mark(first=10, stop=12))


def test_without_a_handler_call_there_is_no_mark(marks: MarkFile) -> None:
    marks.begin(4)
    marks.running(0, 10)
    marks.idle()
    note = read(marks.path)
    assert note is not None
    assert (note.serial, note.mark) == (4, None)
    marks.running(10, 20)
    marks.begin(5)
    note = read(marks.path)
    assert note is not None
    assert (note.serial, note.mark) == (5, None)


def test_the_seconds_count_from_the_handler_call(marks: MarkFile, monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.monotonic()
    marks.running(0, 1)
    monkeypatch.setattr(time, "monotonic", lambda: before + 60)
    note = read(marks.path)
    assert note is not None
    assert 59 < note.seconds <= 60


def test_a_killed_process_leaves_its_note(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, check=False, env=environment
    )
    assert ended.returncode == -signal.SIGKILL
    path = ended.stdout.strip()
    note = take(path)
    assert note is not None
    assert (note.serial, note.mark) == (7, Mark(first=3, stop=9))
    assert not Path(path).exists()


def test_a_file_that_is_gone_or_is_no_mark_file_says_nothing(tmp_path: Path) -> None:
    assert read(str(tmp_path / "none")) is None
    assert take(str(tmp_path / "none")) is None
    (tmp_path / "other").write_bytes(b"x")
    assert read(str(tmp_path / "other")) is None
    remove(str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()
