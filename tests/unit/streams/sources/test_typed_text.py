"""Types are found in samples of the whole file, once, and belong to the identity of a run."""

import pytest

from gristmill.errors import ConfigurationError
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.ndjson_form import LineForm
from gristmill.streams.sources.typed_text import CsvColumnFiles, LineColumnFiles


def types_of(*paths, types=None, is_inferring=True):
    source = CsvColumnFiles(
        [str(path) for path in paths],
        CsvForm(),
        types=types or {},
        is_inferring=is_inferring,
        max_record=1 << 20,
        standard_input=None,
    )
    source.open()
    return source.options["column types"]


def write(path, rows):
    path.write_text("id,note\n" + "".join(f"{left},{right}\n" for left, right in rows))
    return path


def test_types_are_found_and_shown(tmp_path):
    assert types_of(write(tmp_path / "a.csv", [(1, "x"), (2, "3")])) == {"id": "int64 (inferred)"}


def test_a_value_far_behind_the_beginning_counts(tmp_path):
    rows = [(number, 1) for number in range(120_000)]
    rows[-1] = ("007", 1)

    assert types_of(write(tmp_path / "a.csv", rows)) == {"note": "int64 (inferred)"}


def test_a_sample_that_begins_within_a_cell_tells_nothing(tmp_path):
    path = write(tmp_path / "a.csv", [(number, 1) for number in range(40_000)])
    with path.open("a") as file:
        file.write('1,"' + "7,x\n" * 200_000 + '"\n')

    assert "id" in types_of(path)


def test_files_together_decide(tmp_path):
    assert types_of(write(tmp_path / "a.csv", [(1, 1)]), write(tmp_path / "b.csv", [("x", 1)])) == {
        "note": "int64 (inferred)"
    }


def test_types_that_are_said_are_not_inferred(tmp_path):
    path = write(tmp_path / "a.csv", [("x", 1)])

    assert types_of(path, types={"id": "double"}) == {"id": "double", "note": "int64 (inferred)"}
    assert types_of(path, types={"id": "double"}, is_inferring=False) == {"id": "double"}


def test_a_type_of_a_column_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="no column z to be of a type; there is id, note"):
        types_of(write(tmp_path / "a.csv", []), types={"z": "int64"})


def test_an_empty_file_has_no_types(tmp_path):
    (tmp_path / "a.csv").write_text("")

    assert types_of(tmp_path / "a.csv") == {}


def test_the_columns_of_json_lines_are_part_of_the_identity_too(tmp_path):
    (tmp_path / "a.ndjson").write_text('{"a":1}\n{"a":2,"b":null}\n')
    source = LineColumnFiles(
        [str(tmp_path / "a.ndjson")], LineForm(), max_record=1 << 20, standard_input=None
    )

    source.open()

    assert source.options["column types"] == {"a": "int64", "b": "string"}
    assert source.columns == ["a", "b"]
