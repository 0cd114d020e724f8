from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill.errors import ConfigurationError, SinkError
from gristmill.streams.dead_letter import MAX_RAW, DeadLetter, DeadLetterFile, merged, raw_fields, renumbered


def letter(row: int, item: bytes | None = None, **more: str) -> bytes:
    made = DeadLetter(
        source="a.csv", row=row, start=1, end=2, stage="handler", code="x", message="m",
        item=msgspec.UNSET if item is None else msgspec.Raw(item), **more,
    )  # fmt: skip
    return msgspec.json.encode(made) + b"\n"


def test_raw_text_is_kept_as_it_can_be() -> None:
    assert raw_fields(b"caf\xc3\xa9\n") == {"raw": "café\n"}
    assert base64.b64decode(raw_fields(b"caf\xe9\n")["base64"]) == b"caf\xe9\n"
    assert raw_fields(None) == {}
    assert raw_fields(b"x" * MAX_RAW) == {"raw": "x" * MAX_RAW}
    assert raw_fields(b"x" * (MAX_RAW + 1)) == {}


@pytest.mark.parametrize(
    "item",
    [
        b'{"a":12345678901234567890123}',
        b"1.10",
        b"1e400",
        b'{"a":1,\r"b":2}',
        b'{"a":1,"a":2}',
        b"null",
        b'"\\u0000"',
    ],
)
def test_numbers_of_rows_change_and_nothing_else(item: bytes) -> None:
    lines = letter(1, item) + letter(4, raw="x\r\ny\u2028\n") + letter(9, item, base64="AA==")
    assert renumbered(lines, 0) == lines
    moved = letter(101, item) + letter(104, raw="x\r\ny\u2028\n") + letter(109, item, base64="AA==")
    assert renumbered(lines, 100) == moved
    assert renumbered(b"", 100) == b""


def test_letters_of_one_chunk_are_put_in_the_order_of_their_rows() -> None:
    some, others = letter(1, b"{}") + letter(5, b"1.10"), letter(3, b'{"a":1,\r"b":2}') + letter(7)
    assert merged(some, others) == letter(1, b"{}") + letter(3, b'{"a":1,\r"b":2}') + letter(
        5, b"1.10"
    ) + letter(7)
    assert merged(some, b"") == merged(b"", some) == some


def test_the_file_grows_and_is_cut_to_what_was_committed(tmp_path: Path) -> None:
    path = tmp_path / "d"
    file = DeadLetterFile(path)
    file.open(0)
    file.write(letter(1))
    file.sync()
    committed = file.length
    file.write(letter(2))
    file.close()
    assert path.read_bytes() == letter(1) + letter(2)
    again = DeadLetterFile(path)
    again.open(committed)
    again.write(letter(3))
    again.close()
    assert path.read_bytes() == letter(1) + letter(3)


def test_no_file_is_made_without_a_letter_and_an_empty_one_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "d"
    for begin in (lambda: None, path.touch, lambda: path.write_text("old")):
        begin()
        file = DeadLetterFile(path)
        file.open(0)
        file.write(b"")
        file.sync()
        file.close()
        assert not path.exists()


def test_letters_that_are_gone_are_told(tmp_path: Path) -> None:
    path = tmp_path / "d"
    with pytest.raises(SinkError, match="is gone"):
        DeadLetterFile(path).open(10)
    path.write_text("short")
    file = DeadLetterFile(path)
    with pytest.raises(SinkError, match="shorter than it was"):
        file.open(10)
    file.close()
    assert path.read_text() == "short"


def test_a_new_run_takes_no_file_that_holds_something(tmp_path: Path) -> None:
    path = tmp_path / "d"
    DeadLetterFile(path).check_new()
    path.touch()
    DeadLetterFile(path).check_new()
    path.write_bytes(letter(1))
    with pytest.raises(ConfigurationError, match="not of this run"):
        DeadLetterFile(path).check_new()


def test_two_runs_cannot_have_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "d"
    path.write_text("x")
    one, other = DeadLetterFile(path), DeadLetterFile(path)
    one.open(1)
    with pytest.raises(ConfigurationError, match="in use"):
        other.open(1)
    one.close()
    other.close()


def test_a_claim_takes_the_file_that_is_there_and_makes_none(tmp_path: Path) -> None:
    path = tmp_path / "d"
    DeadLetterFile(path).claim()
    assert not path.exists()
    path.write_bytes(letter(1))
    one, other = DeadLetterFile(path), DeadLetterFile(path)
    one.claim()
    with pytest.raises(ConfigurationError, match="in use"):
        other.claim()
    one.close()
    other.close()
    assert path.read_bytes() == letter(1)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        DeadLetterFile(tmp_path / "none" / "d").claim()


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "d"
    make(path)
    file = DeadLetterFile(path)
    with pytest.raises(ConfigurationError, match="no regular file"):
        file.claim()
    file.close()
    assert path.exists()


def test_letters_are_json_with_the_fields_that_are_there() -> None:
    assert json.loads(letter(3, b"{}")) == {
        "source": "a.csv", "row": 3, "start": 1, "end": 2, "stage": "handler", "code": "x",
        "message": "m", "item": {},
    }  # fmt: skip
