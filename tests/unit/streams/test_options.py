from __future__ import annotations

from typing import Any

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.options import ReadOptions, RunOptions, WriteOptions


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (RunOptions, "workers", -1),
        (RunOptions, "batch_size", 0),
        (RunOptions, "batch_size", "many"),
        (RunOptions, "chunk_bytes", 0),
        (RunOptions, "limit", -1),
        (RunOptions, "commit_seconds", -0.1),
        (RunOptions, "max_failures", "x"),
        (RunOptions, "dead_letter", "-"),
        (ReadOptions, "max_record", 0),
        (ReadOptions, "on_duplicate", "last"),
        (WriteOptions, "codec", "zip"),
        (WriteOptions, "part_bytes", 0),
    ],
)
def test_what_cannot_work_is_refused_by_name(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        kind(**{name: value})
    assert str(value) in str(raised.value)


def test_what_can_is_taken() -> None:
    RunOptions(workers=0, batch_size="auto", chunk_bytes=1, limit=0, commit_seconds=0, max_failures="1%")
    RunOptions(batch_size=1, max_failures=0)
    ReadOptions(max_record=1, on_duplicate="first")
