"""CSV as columns finds what the reader of rows finds, whatever is in the text."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import SourceError
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.column_csv import CsvColumnReader
from gristmill.streams.formats.column_types import ColumnType
from gristmill.streams.formats.csv_form import CsvForm, CsvRecipe
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.sources.protocol import whole
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head


def recipe(names=("a", "b"), **form):
    return CsvRecipe(
        form=CsvForm(**form),
        heads=(Head(length=0, columns=tuple(names)),),
        files=(Readable(path="t.csv", size=0, changed_ns=0),),
    )


def chunk(text: bytes) -> Chunk:
    return Chunk(number=0, source=0, start=0, end=len(text), body=text)


def read(text: bytes, types=None, **options):
    return CsvColumnReader(recipe(**options), types or {}).read(chunk(text))


CELL = st.text(st.sampled_from('ab,"\n\r é'), max_size=4)


def written(rows, end):
    def cell(text):
        return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\r\n') else text

    return "".join(",".join(map(cell, row)) + end for row in rows).encode()


@given(
    rows=st.lists(st.one_of(st.tuples(CELL, CELL), st.just(()), st.tuples(CELL, CELL, CELL)), max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_columns_are_the_columns_of_the_rows(rows, end):
    text = written(rows, end)
    expected = whole(recipe().rows(dict).read(chunk(text), 100))

    found = read(text)

    assert found.batch.to_pylist() == expected.items
    assert list(found.numbers) == list(expected.numbers)
    assert {number: bad.code for number, bad in found.bad.items()} == {
        number: bad.code for number, bad in expected.bad.items()
    }
    assert (found.total, found.blank) == (expected.total, expected.blank)
    assert found.places() == expected.places()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"1,2\n3\n5,6\n", "column_count"),
        (b"1,2\n3,\xff\n5,6\n", "bad_encoding"),
        (b"1,2\n\0,4\n5,6\n", "nul_byte"),
    ],
)
def test_a_record_that_is_none_fails_alone(text, code):
    found = read(text)

    assert found.batch.to_pylist() == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    assert [(number, bad.code) for number, bad in found.bad.items()] == [(1, code)]
    assert found.places()[1].raw == text.splitlines(keepends=True)[1]


def test_a_stray_quote_stops_the_run():
    with pytest.raises(SourceError, match="RFC 4180"):
        read(b'1,2"3\n')


def test_lenient_and_no_quoting_are_read_as_rows_are():
    assert read(b'1,2"3\n', dialect=Dialect(quoting="lenient")).batch.to_pylist() == [{"a": "1", "b": '2"3'}]
    assert read(b'1,"2\n', dialect=Dialect(quoting="none")).batch.to_pylist() == [{"a": "1", "b": '"2'}]


def test_a_cell_that_is_not_of_its_type_fails_its_row_with_its_place():
    found = read(b"1,x\n\noops,y\n3,z\n", {"a": ColumnType("int64")})

    assert found.batch.to_pylist() == [{"a": 1, "b": "x"}, {"a": 3, "b": "z"}]
    assert list(found.numbers) == [0, 3]
    assert found.bad[2].message == "column a: 'oops' is not int64"
    assert found.texts["a"].to_pylist() == ["1", "3"]
    place = found.places()[2]
    assert (place.start, place.end) == (5, 12)


def test_columns_are_selected_and_renamed():
    assert read(b"1,2\n", select={"b": "second"}).batch.to_pylist() == [{"second": "2"}]


def test_other_encodings_are_read():
    assert read("é,ü\n".encode("latin-1"), encoding="latin-1").batch.to_pylist() == [{"a": "é", "b": "ü"}]


def test_missing_and_extra_cells_are_taken_where_they_may_be():
    assert read(b"1\n2,3\n", pad=True).batch.to_pylist() == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]
    assert read(b"1,2,3\n", extra="more").batch.to_pylist() == [{"a": "1", "b": "2", "more": "3"}]


def test_the_first_rows_are_the_first_good_and_bad_ones():
    found = read(b"1,2\n3\n5,6\n7,8\n").first(3)

    assert found.batch.to_pylist() == [{"a": "1", "b": "2"}, {"a": "5", "b": "6"}]
    assert (list(found.bad), found.total) == ([1], 3)
    assert dataclasses.is_dataclass(found)


@given(
    cells=st.lists(st.one_of(st.just(None), CELL), max_size=12),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_a_single_column_is_told_from_blank_lines(cells, end):
    text = "".join(
        end if cell is None else '"' + cell.replace('"', '""') + '"' + end for cell in cells
    ).encode()
    one = recipe(names=("a",))
    expected = whole(one.rows(dict).read(chunk(text), 0))

    found = CsvColumnReader(one, {}).read(chunk(text))

    assert found.batch.to_pylist() == expected.items
    assert list(found.numbers) == list(expected.numbers)
    assert (found.total, found.blank) == (expected.total, expected.blank)
