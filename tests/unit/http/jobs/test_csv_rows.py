from __future__ import annotations

import json
from typing import Any

import msgspec
import pydantic
import pytest

from gristmill.http.codec import item_codec
from gristmill.http.jobs.csv_rows import CsvOptions, RowCodec, csv_options
from gristmill.http.jobs.query import Query
from gristmill.http.problems import Refused
from gristmill.streams.formats.dialect import TAB, Dialect
from gristmill.wire import Problem


def names(record: bytes | None, options: CsvOptions | None = None) -> list[str]:
    return list((options or CsvOptions()).header(record).names)


def test_a_header_is_read_as_that_of_a_file() -> None:
    assert names(b"\xef\xbb\xbfname, age\n") == ["name", " age"]
    assert names(b"a,\n") == ["a", "_col2"]
    assert names(b"a\tb\n", CsvOptions(TAB)) == ["a", "b"]
    assert names(b"a,a\n", CsvOptions(on_duplicate="rename")) == ["a", "a_2"]
    assert names(b"\xe9,b\n", CsvOptions(encoding="cp1252")) == ["é", "b"]


@pytest.mark.parametrize("record", [None, b"a,a\n", b"\xff\n", b'a"b\n', b"a\0b\n", b"\xff\xfea\0"])
def test_a_header_without_names_is_refused_and_not_repeated(record: bytes | None) -> None:
    with pytest.raises(Refused) as caught:
        names(record)
    assert (caught.value.problem.code, caught.value.problem.status) == ("malformed_csv", 400)


def test_options_are_those_of_the_command() -> None:
    assert csv_options(Query(b""), "\t") == CsvOptions(TAB)
    given = csv_options(Query(b"delimiter=%3B&quoting=lenient&encoding=latin-1&on_duplicate=first"), ",")
    assert given == CsvOptions(Dialect(";", "lenient"), "iso8859-1", "first")
    assert csv_options(Query(b"delimiter=%09"), ",").dialect == TAB


@pytest.mark.parametrize(
    "query",
    [
        "delimiter=ab", "delimiter=%22", "delimiter=%0A", "delimiter=%C3%A9", "delimiter=%00", "quoting=all",
        "quoting=", "on_duplicate=last", "encoding=utf-16", "encoding=none", "encoding=unicode_escape",
        "encoding=zlib", "encoding=utf-7", "encoding=%00", "encoding=cp037",
    ],
)  # fmt: skip
def test_an_option_that_is_none_is_refused(query: str) -> None:
    with pytest.raises(Refused, match="invalid_option"):
        csv_options(Query(query.encode()), ",")


class Person(msgspec.Struct, rename="camel"):
    full_name: str
    age: int = 3
    is_kind: bool = True


class Picky(msgspec.Struct):
    age: int

    def __post_init__(self) -> None:
        if self.age > 100:
            raise RuntimeError("hunter2")


class Model(pydantic.BaseModel):
    age: int


def item(kind: Any, **row: str) -> Any:
    codec = item_codec(kind)
    rows = RowCodec(codec)
    text = rows.text(row, "#/0")
    assert isinstance(text, bytes)
    assert rows.texts([row, row]) in ([text, text], None)
    return codec.decode(text)


def test_strings_become_what_the_type_wants() -> None:
    assert item(Person, fullName="Ada", age="36", isKind="false") == Person("Ada", 36, False)
    assert item(Model, age="36") == Model(age=36)
    assert item(dict[str, float], a="1", b="2.5") == {"a": 1.0, "b": 2.5}
    assert item(Any, a="1") == {"a": "1"}
    assert item(dict[str, str], a="1") == {"a": "1"}


def test_an_empty_cell_is_left_out_where_it_cannot_be_what_is_wanted() -> None:
    assert item(Person, fullName="Ada", age="") == Person("Ada")
    assert item(Person, fullName="", age="4") == Person("", 4)


def test_a_row_that_is_no_item_is_told_with_its_pointer() -> None:
    rows = RowCodec(item_codec(Person))
    bad = {"fullName": "Ada", "age": "x"}
    assert rows.texts([{"fullName": "Ada"}, bad]) is None
    found = rows.text(bad, "#/7")
    assert isinstance(found, Problem)
    (complaint,) = json.loads(msgspec.json.encode(found.errors))
    assert complaint == {"pointer": "#/7/age", "detail": "Expected `int`, got `str`"}


def test_a_check_of_the_type_that_breaks_fails_its_row_alone() -> None:
    found = RowCodec(item_codec(Picky)).text({"age": "101"}, "#/0")
    assert isinstance(found, Problem)
    assert (found.code, "hunter2" in repr(found)) == ("internal_error", False)
