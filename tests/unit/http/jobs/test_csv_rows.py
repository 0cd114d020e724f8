from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.http.codec import item_codec
from gristmill.http.jobs.csv_rows import Records, RowCodec, cells_of, ends_inside_quotes, header_of
from gristmill.http.problems import Refused
from gristmill.streams.formats.csv_records import spans
from gristmill.streams.formats.dialect import Dialect


def records(body: bytes, *, piece: int = 3, limit: int = 1000) -> list[bytes | None]:
    found = Records(limit)
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)]
    return [record for chunk in pieces for record in found.feed(chunk)] + list(found.finish())


def test_a_record_goes_over_the_lines_of_its_quoted_cells() -> None:
    assert records(b'a,b\n1,"x\n\ny"\n\n2,"""z"""') == [b"a,b\n", b'1,"x\n\ny"\n', b'2,"""z"""\n']


def test_a_record_that_is_too_long_stands_as_none_and_the_next_is_whole() -> None:
    assert records(b"a\n" + b"x" * 50 + b"\nb\n", limit=10) == [b"a\n", None, b"b\n"]
    assert records(b'"' + b"x\n" * 50 + b'"\nb\n', limit=10) == [None, b"b\n"]


def test_quotes_that_are_never_closed_end_in_one_bad_record() -> None:
    assert records(b'a\n"b\nc\n') == [b"a\n", None]


def test_a_record_knows_the_line_it_began_on() -> None:
    found = Records(1000)
    lines = [found.line for _ in found.feed(b'a\n\n"b\nc"\nd\n')]
    assert lines == [1, 3, 5]


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        (b"a,b", False, False), (b'"a', False, True), (b'a,"b', False, True), (b'5" pipe,x', False, False),
        (b'"a""', False, True), (b'"a""b",c', False, False), (b'end"', True, False), (b'e",x,"y', True, True),
        (b"", True, True), (b"", False, False), (b'""', False, False), (b'a"",b', True, True),
    ],
)  # fmt: skip
def test_only_quotes_at_the_beginning_of_a_cell_open_it(line: bytes, *, before: bool, after: bool) -> None:
    assert ends_inside_quotes(line, before) is after


CELLS = st.text(st.sampled_from('ab",\n é'), max_size=8)
ROWS = st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=6)


@given(ROWS, st.integers(1, 7))
def test_what_the_csv_module_writes_comes_back(rows: list[list[str]], piece: int) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    found = [cells_of(record) for record in records(written.getvalue().encode(), piece=piece) if record]
    assert found == rows


@pytest.mark.parametrize("record", [b"\xff,b\n", b"x" * 200_000])
def test_a_record_that_is_no_csv_is_refused(record: bytes) -> None:
    with pytest.raises(Refused) as caught:
        cells_of(record)
    assert caught.value.problem.code == "malformed_csv"


def test_a_cell_is_too_long_wherever_the_limit_of_the_module_csv_stands() -> None:
    before = csv.field_size_limit(10_000_000)
    try:
        with pytest.raises(Refused):
            cells_of(b"x" * 131_073)
        assert cells_of(b"x" * 131_072 + b"," + b"y" * 9) == ["x" * 131_072, "y" * 9]
    finally:
        csv.field_size_limit(before)


HOSTILE = st.lists(
    st.sampled_from([*'ab,"\n', '""', '","', '"\n"', "\r\n", ',"', '\n"', '"\n', " ", "é"]), max_size=30
).map("".join)


@given(HOSTILE, st.integers(1, 7))
def test_a_body_has_the_records_that_a_file_of_the_same_bytes_has(text: str, piece: int) -> None:
    body = text.encode()
    lenient = Dialect(quoting="lenient")
    expected = [
        body[start:end].rstrip(b"\n") for start, end in spans(body, lenient) if body[start:end].strip()
    ]
    found = [record if record is None else record.rstrip(b"\n") for record in records(body, piece=piece)]
    if found and found[-1] is None:  # quotes that never close are one bad record here
        assert found[:-1] == expected[:-1]
    else:
        assert found == expected


def test_the_header_may_begin_with_a_byte_order_mark() -> None:
    assert header_of(b"\xef\xbb\xbfname, age\n") == ["name", "age"]


@pytest.mark.parametrize("record", [None, b"a,a\n", b"a,\n", b"\xff\n"])
def test_a_header_without_names_is_refused(record: bytes | None) -> None:
    with pytest.raises(Refused) as caught:
        header_of(record)
    assert (caught.value.problem.code, caught.value.problem.status) == ("malformed_csv", 400)


class Person(msgspec.Struct, rename="camel"):
    full_name: str
    age: int = 3
    is_kind: bool = True


class Model(pydantic.BaseModel):
    age: int


def item(kind: Any, names: list[str], record: bytes) -> Any:
    codec = item_codec(kind)
    return codec.decode(RowCodec(codec).text(names, record, "#/0"))


def test_strings_become_what_the_type_wants() -> None:
    assert item(Person, ["fullName", "age", "isKind"], b"Ada,36,false\n") == Person("Ada", 36, False)
    assert item(Model, ["age"], b"36\n") == Model(age=36)
    assert item(dict[str, float], ["a", "b"], b"1,2.5\n") == {"a": 1.0, "b": 2.5}
    assert item(Any, ["a"], b"1\n") == {"a": "1"}


def test_an_empty_cell_is_left_out_where_it_cannot_be_what_is_wanted() -> None:
    assert item(Person, ["fullName", "age"], b"Ada,\n") == Person("Ada")
    assert item(Person, ["fullName", "age"], b",4\n") == Person("", 4)


@pytest.mark.parametrize(
    ("record", "code"),
    [(b"Ada\n", "malformed_csv"), (b"Ada,4,5\n", "malformed_csv"), (b"Ada,x\n", "invalid_item")],
)
def test_a_row_that_is_no_item_is_refused(record: bytes, code: str) -> None:
    with pytest.raises(Refused) as caught:
        RowCodec(item_codec(Person)).text(["fullName", "age"], record, "#/7")
    assert caught.value.problem.code == code
    if code == "invalid_item":
        (complaint,) = json.loads(msgspec.json.encode(caught.value.problem.errors))
        assert complaint == {"pointer": "#/7/age", "detail": "Expected `int`, got `str`"}
