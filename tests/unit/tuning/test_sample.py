from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from gristmill.errors import ConfigurationError
from gristmill.tuning.sample import Sample, SampleFormat, read_sample


class User(msgspec.Struct):
    name: str
    age: int = 18


class Model(BaseModel):
    name: str
    age: int = 18


@dataclass
class Plain:
    name: str
    age: int = 18


def read(path: Path, text: str | bytes, kind: Any, **options: Any) -> Sample:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sample(path, kind, limit=options.pop("limit", 100), **options)


@pytest.mark.parametrize("kind", [User, Model, Plain])
def test_strings_of_csv_become_what_the_item_wants(tmp_path: Path, kind: type) -> None:
    sample = read(tmp_path / "a.csv", '\ufeffname,age\r\n"Ada, L",36\r\n', kind)
    assert sample.take(1) == [kind(name="Ada, L", age=36)]


def test_an_empty_cell_leaves_the_default(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "name,age\nAda,\n", User).take(1) == [User("Ada", 18)]


def test_tsv_and_unannotated_rows_are_dicts_of_strings(tmp_path: Path) -> None:
    assert read(tmp_path / "a.tsv", "name\tage\nAda\t36\n", Any).take(1) == [{"name": "Ada", "age": "36"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ndjson", '{"name":"Ada"}\n\n{"name":"Bob"}'),
        ("a.jsonl", '{"name":"Ada"}\r\n{"name":"Bob"}\r\n'),
        ("a.json", '[{"name": "Ada"}, {"name": "Bob"}]'),
    ],
)
def test_json_comes_as_lines_or_as_an_array(tmp_path: Path, name: str, text: str) -> None:
    for kind in (User, Model):
        sample = read(tmp_path / name, text, kind)
        assert len(sample) == 2
        assert sample.take(2) == [kind(name="Ada"), kind(name="Bob")]


def test_the_format_may_be_said(tmp_path: Path) -> None:
    assert read(tmp_path / "dump", "1\n2\n", int, wanted=SampleFormat.NDJSON).take(2) == [1, 2]


def test_only_the_first_rows_are_read(tmp_path: Path) -> None:
    for name in ("a.ndjson", "a.json"):
        numbers = "1\n2\n3\n" if name == "a.ndjson" else "[1,2,3]"
        assert len(read(tmp_path / name, numbers, int, limit=2)) == 2
    assert len(read(tmp_path / "b.ndjson", "1\n2\nnot json\n", int, limit=2)) == 2


def test_the_first_row_comes_after_the_last(tmp_path: Path) -> None:
    sample = read(tmp_path / "a.json", json.dumps(list(range(3))), int)
    assert [sample.take(2), sample.take(2), sample.take(7)] == [[0, 1], [2, 0], [1, 2, 0, 1, 2, 0, 1]]


def test_an_item_that_a_handler_changed_comes_unchanged_again(tmp_path: Path) -> None:
    for name, text in (("a.csv", "n\n1\n"), ("a.json", '[{"n":"1"}]')):
        for kind in (dict, Any):
            sample = read(tmp_path / name, text, kind)
            sample.take(1)[0].clear()
            assert sample.take(1) == [{"n": "1"}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.xlsx", "", "does not say its format; say it with --input-format"),
        ("a.csv", "", "has no rows"),
        ("a.csv", "name,age\n", "has no rows"),
        ("a.ndjson", "\n\n", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.json", '{"name":"Ada"}', "is not a JSON array"),
        ("a.json", "[1,", "is not a JSON array"),
        ("a.csv", "name,name\nAda,1\n", "names 'name' more than once"),
        ("a.csv", "name,age\nAda,1\nBob\n", "row 2: the record has 1 cells, not 2"),
        ("a.csv", "name,age\nAda,old\n", "row 1 is no item of the handler: Expected `int`, got `str`"),
        ("a.csv", b"name\n\xff\n", "row 1: .* is not utf-8"),
        ("a.csv", 'name\n"Ada"x\n', "a quote stands where RFC 4180 allows none"),
        ("a.ndjson", '{"name":"Ada"}\n\n{"age":3}\n', "row 3 is no item .* missing required field `name`"),
        ("a.ndjson", "nonsense\n", "row 1: .* malformed"),
        ("a.json", '[{"name":"Ada"},7]', "element 1 is no item .* Expected `object`, got `int`"),
        ("a.csv.gz", gzip.compress(b"name\nAda\n")[:-6], "is damaged or cut off"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path / name, text, User)


def test_single_values_do_not_come_from_csv(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="give single values as NDJSON"):
        read(tmp_path / "a.csv", "id\n1\n", int)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.csv cannot be read: No such file"):
        read_sample(tmp_path / "none.csv", User, limit=1)


def test_a_type_that_no_file_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "a.ndjson", "1\n", Path)


TEXT = b"name,age\nAda,36\nBob,\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(TEXT[:12]) + gzip.compress(TEXT[12:])),
        ("a.csv.zst", pa.Codec("zstd").compress(TEXT, asbytes=True)),
        ("a.ndjson.gz", gzip.compress(b'{"name":"Ada","age":36}\n{"name":"Bob"}\n')),
    ],
    ids=[
        "csv.gz",
        "csv.zst",
        "ndjson.gz",
    ],  # the bytes hold a time, and no two processes would have the same ids
)
@pytest.mark.parametrize("kind", [User, Model])
def test_compressed_files_are_read_as_a_run_reads_them(
    tmp_path: Path, name: str, content: bytes, kind: type
) -> None:
    assert read(tmp_path / name, content, kind).take(2) == [
        kind(name="Ada", age=36),
        kind(name="Bob", age=18),
    ]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_tables_are_read_as_a_run_reads_them(tmp_path: Path, name: str) -> None:
    table = pa.table({"name": ["Ada", "Bob", "Cy"], "age": [36, 5, 7], "tags": [["x"], [], None]})
    if name == "a.parquet":
        pq.write_table(table, tmp_path / name, row_group_size=1)
    else:
        with pa.ipc.new_file(tmp_path / name, table.schema) as file:
            file.write_table(table, max_chunksize=1)
    assert read_sample(tmp_path / name, User, limit=2).take(2) == [User("Ada", 36), User("Bob", 5)]
    sample = read_sample(tmp_path / name, Any, limit=10)
    assert len(sample) == 3
    sample.take(3)[0]["tags"].append("changed")
    assert sample.take(1) == [{"name": "Ada", "age": 36, "tags": ["x"]}]


def test_a_handler_of_columns_gets_the_types_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"name,age\nAda,36\nBob,7\n")
    sample = read_sample(tmp_path / "a.csv", dict, limit=10, is_columnar=True)
    assert sample.take(2) == [{"name": "Ada", "age": 36}, {"name": "Bob", "age": 7}]


def test_rows_are_counted_on_over_the_pieces_that_a_file_is_read_in(tmp_path: Path) -> None:
    rows = "".join(f"{'x' * 1000},{number}\n" for number in range(3000))
    with pytest.raises(ConfigurationError, match="row 3001 is no item"):
        read(tmp_path / "a.csv", f"name,age\n{rows}x,old\n", User, limit=5000)
    assert len(read(tmp_path / "a.csv", f"name,age\n{rows}x,old\n", User, limit=3000)) == 3000
