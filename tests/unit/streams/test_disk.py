from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.disk import close_anyway, cut, lock, writing


def test_what_the_system_refuses_is_said_of_the_output() -> None:
    with pytest.raises(SinkError, match=r"out.csv cannot be written: No space left"), writing("out.csv"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(SinkError, match="deep/x cannot be written"), writing("out.csv"):
        raise PermissionError(errno.EACCES, "no", "deep/x")
    own = SinkError("said already")
    with pytest.raises(SinkError) as told, writing("out.csv"):
        raise own
    assert told.value is own
    with pytest.raises(ConfigurationError), writing("out.csv"):
        raise ConfigurationError("no error of the system")


def test_a_file_is_cut_only_if_it_is_longer(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    os.utime(path, ns=(1, 1))
    with path.open("r+b") as file:
        cut(file, 3)
        assert file.tell() == 3
        assert path.stat().st_mtime_ns == 1
        cut(file, 1)
        file.write(b"x")
    assert path.read_bytes() == b"ax"


def test_a_lock_is_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as one, path.open("wb") as other:
        lock(one, "taken")
        with pytest.raises(ConfigurationError, match="taken"):
            lock(other, "taken")
        one.close()
        lock(other, "taken")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has such a device")  # noqa: PTH110 - a device
def test_a_file_is_closed_though_what_is_left_does_not_fit() -> None:
    file = open("/dev/full", "wb")  # noqa: PTH123, SIM115 - closed below
    file.write(b"x")
    close_anyway(file)
    assert file.closed
