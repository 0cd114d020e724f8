"""JSON lines as columns: the fields of the samples are the columns."""

import pyarrow as pa

from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.column_lines import LineColumnReader, LineColumnRecipe, infer_schema
from gristmill.streams.formats.ndjson_form import LineForm, LineRecipe
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head


def read(text, sample, select=None):
    schema, _ = infer_schema([sample], select)
    inner = LineRecipe(
        form=LineForm(select=select),
        heads=(Head(length=0, columns=None),),
        files=(Readable(path="t", size=0, changed_ns=0),),
    )
    chunk = Chunk(number=0, source=0, start=0, end=len(text), body=text)
    return LineColumnReader(LineColumnRecipe(inner, schema)).read(chunk)


def test_fields_become_columns_and_missing_ones_null():
    found = read(b'{"a":1,"b":"x"}\n\n{"a":2}\n', b'{"a":1,"b":"x"}\n')

    assert found.batch.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert (found.total, found.blank) == (2, 1)


def test_numbers_of_both_kinds_are_double():
    assert read(b'{"a":3}\n', b'{"a":1}\n{"a":1.5}\n').batch.schema == pa.schema([("a", pa.float64())])


def test_a_field_of_several_types_is_text_with_json_for_what_is_none():
    found = read(b'{"a":1}\n{"a":"x"}\n{"a":[1]}\n', b'{"a":1}\n{"a":"x"}\n')

    assert found.batch.to_pylist() == [{"a": "1"}, {"a": "x"}, {"a": "[1]"}]


def test_values_and_fields_that_do_not_fit_fail_their_lines():
    found = read(b'{"a":1}\n{"a":"x"}\n{"z":1}\nno\n{"a":2}\n', b'{"a":1}\n')

    assert found.batch.to_pylist() == [{"a": 1}, {"a": 2}]
    assert list(found.numbers) == [0, 4]
    assert {number: bad.message for number, bad in found.bad.items() if number != 3} == {
        1: "column a: 'x' is not int64",
        2: "the field z is none of the columns that samples of the input have",
    }
    assert found.bad[3].code == "malformed_json"


def test_fields_are_selected_and_renamed():
    assert read(b'{"a":1,"b":2}\n', b'{"a":1,"b":2}\n', {"b": "c"}).batch.to_pylist() == [{"c": 2}]
