from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.streams.formats.json_lines import as_stored, cut_lines, line_spans, parse_lines

LINES = st.sampled_from(
    [
        b"1",
        b'{"a": 1}',
        b'"x"',
        b"",
        b" \t",
        b"\r",
        b"1 2",
        b"[1,",
        b"2]",
        b"{",
        b'"\xff"',
        b"nul",
        b"\x0b",
        b"1\r2",
        b"\0",
    ]
)
FILES = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])).map(b"".join), max_size=12).map(b"".join)
decode = msgspec.json.Decoder().decode


def test_pieces_end_with_lines() -> None:
    assert cut_lines(b"1\n2\n3", is_last=False) == 4
    assert cut_lines(memoryview(b"1\r\n2"), is_last=False) == 3
    assert cut_lines(b"1\r2", is_last=False) is None
    assert cut_lines(b"1\n2", is_last=True) == 3


def test_blank_lines_are_counted_and_are_no_values() -> None:
    found = parse_lines(b'\n{"a":1}\r\n \t\r\n[2]', decode)
    assert (found.rows, list(found.records), found.bad, found.blank) == ([{"a": 1}, [2]], [1, 3], {}, 2)
    assert line_spans(b'\n{"a":1}\r\n \t\r\n[2]') == [(0, 0), (1, 8), (10, 12), (14, 17)]


def test_a_bad_line_spoils_itself_alone() -> None:
    chunk = b'1\n"x"\n-\n\n"\xff"\n2 3\n4\n'
    found = parse_lines(chunk, msgspec.json.Decoder(int).decode)
    assert (found.rows, list(found.records)) == ([1, 4], [0, 6])
    assert {index: bad.code for index, bad in found.bad.items()} == {
        1: "invalid_item", 2: "malformed_json", 4: "bad_encoding", 5: "malformed_json",
    }  # fmt: skip
    assert parse_lines(b'"\xff"', decode).bad[0].code == "bad_encoding"
    assert "invalid character" in parse_lines(b'{"a":nul}', decode).bad[0].message
    start, end = line_spans(chunk)[5]
    assert chunk[start:end] == b"2 3"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'["x', "malformed_json"),
        (b"1,a", "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "malformed_json"),
        (b'{"a":1e999}', "invalid_item"),
        (b"[]", "invalid_item"),
    ],
)
def test_what_is_no_json_is_told_though_its_beginning_is_of_another_type(line: bytes, code: str) -> None:
    found = parse_lines(line + b'\n{"a":1}\n', msgspec.json.Decoder(dict[str, Any]).decode)
    assert found.rows == [{"a": 1}]
    assert found.bad[0].code == code


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def deepest() -> int:
    """How deep JSON may be for msgspec here: versions of Python differ."""
    readable, unreadable = 1, 1 << 17
    while unreadable - readable > 1:
        depth = (readable + unreadable) // 2
        try:
            decode(nested(depth))
        except RecursionError:
            unreadable = depth
        else:
            readable = depth
    return readable


def test_only_what_every_reader_can_read_is_stored_as_it_is() -> None:
    assert bytes(as_stored(b'{"a":1e999}') or b"") == b'{"a":1e999}'
    for line in (b"1,2", b"[", b'"\xff"', b"NaN", b"", nested(deepest())):
        assert as_stored(line) is None


@pytest.mark.parametrize("text", [b'{"a":\n1}\n', b"1 2\n[3,\n4]\n", b"[1\n2]\n3,4\n", b"1][2\n"])
def test_a_value_is_one_line_and_a_line_one_value(text: bytes) -> None:
    lines = text.splitlines()
    assert set(parse_lines(text, decode).bad) >= {0, len(lines) - 1}


def test_raw_values_are_the_bytes_of_their_line() -> None:
    found = parse_lines(b'{"a": 1}\r\n [2]\n', msgspec.json.Decoder(msgspec.Raw).decode)
    assert [bytes(raw) for raw in found.rows] == [b'{"a": 1}', b"[2]"]


def one_by_one(data: bytes) -> list[Any]:
    values: list[Any] = []
    for line in data.split(b"\n"):
        if line.strip(b" \t\r"):
            try:
                values.append(decode(line))
            except ValueError:
                values.append("bad")
    return values


@given(FILES, st.integers(1, 20))
@settings(max_examples=200, deadline=None)
def test_values_are_the_same_however_the_file_is_cut(data: bytes, target: int) -> None:
    found: list[Any] = []
    at = 0
    while at < len(data):
        size = target
        while (end := cut_lines(data[at : at + size], is_last=at + size >= len(data))) is None:
            size *= 2
        chunk = data[at : at + end]
        parsed = parse_lines(chunk, decode)
        values = dict(zip(parsed.records, parsed.rows, strict=True)) | dict.fromkeys(parsed.bad, "bad")
        found += [values[index] for index in sorted(values)]
        spans = line_spans(chunk)
        assert len(spans) == len(values) + parsed.blank
        assert chunk.count(b"\n") + (not chunk.endswith(b"\n")) == len(spans)
        for index, value in zip(parsed.records, parsed.rows, strict=True):
            assert decode(chunk[slice(*spans[index])]) == value
        at += end
    assert found == one_by_one(data)
