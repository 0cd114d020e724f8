from __future__ import annotations

import os
from pathlib import Path

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.checkpoint import Identity
from gristmill.streams.formats.text_output import TextOutput
from gristmill.streams.sinks.unkept import StandardOutput, unkept

IDENTITY = Identity(version=1, sources=(), handler="m:h", options={})


def test_a_closed_standard_output_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(ConfigurationError, match="standard output is closed"):
        StandardOutput(TextOutput(delimiter=",")).open(IDENTITY, overwrite=False)


def test_what_keeps_nothing_has_a_name_for_people(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    names = ["-", "/dev/stdout", os.devnull, str(tmp_path / "pipe")]
    assert [unkept(name) for name in names] == ["standard output", "standard output", *names[2:]]
    assert not any(map(unkept, [str(tmp_path / "file"), str(tmp_path), "none.csv", "postgresql://h/d#t"]))
