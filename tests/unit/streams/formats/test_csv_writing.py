from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from gristmill.streams.formats.compression import Compression
from gristmill.streams.formats.csv_writing import CsvRowRecipe, header_line, names_of
from gristmill.streams.formats.text_output import TextOutput


class Struct(msgspec.Struct, rename={"b": "B"}):
    a: int
    b: str


@dataclass
class Data:
    a: int
    b: str


class Typed(TypedDict):
    a: int
    b: str


def written(results: list[Any], kind: Any = Any, **options: Any) -> tuple[list[list[str]], dict[int, str]]:
    encoder = CsvRowRecipe(**options).rows(kind)
    layout = encoder.layout(results)
    body, bad = encoder.encode(results, layout)
    text = header_line(layout, options.get("delimiter", ",")) + body
    rows = csv.reader(
        io.StringIO(text.decode(), newline=""), delimiter=options.get("delimiter", ","), strict=True
    )
    return list(rows), dict(bad)


def test_columns_are_those_of_the_first_results_in_the_order_they_come() -> None:
    assert written([{"b": 1}, {"a": 2, "b": 3}]) == ([["b", "a"], ["1", ""], ["3", "2"]], {})
    assert written([{"a": 1, "b": 2}], columns=("b", "a")) == ([["b", "a"], ["2", "1"]], {})


def test_a_result_with_another_column_fails_alone() -> None:
    encoder = CsvRowRecipe().rows(Any)
    layout = encoder.layout([{"a": 1}])
    body, bad = encoder.encode([{"a": 2}, {"a": 3, "x": 1}, {}, {"a": 4}], layout)
    assert body.split() == [b"2", b'""', b"4"] or body == b"2\n\n4\n"
    assert list(bad) == [1]
    assert "has x" in bad[1]


@pytest.mark.parametrize(
    ("kind", "names"),
    [(Struct, ["a", "B"]), (Data, ["a", "b"]), (Typed, ["a", "b"]), (dict, None), (int, None), (Any, None)],
)
def test_result_types_say_their_columns(kind: Any, names: list[str] | None) -> None:
    assert names_of(kind) == names
    layout = CsvRowRecipe().rows(kind).layout([])
    assert layout == (None if names is None else msgspec.json.encode(names))


@pytest.mark.parametrize("kind", [Struct, Data])
def test_objects_are_rows(kind: Any) -> None:
    assert written([kind(1, "x")], kind)[0][1] == ["1", "x"]


def test_cells_of_all_kinds_are_read_back_as_they_were() -> None:
    odd = [
        "",
        ' "',
        "a,b",
        "\r\n",
        "\t;",
        "é\u2028",
        None,
        True,
        1.5,
        10**30,
        [1, {"x": None}],
        dt.date(2026, 1, 2),
    ]
    rows, bad = written([{"a": each, "b": "x"} for each in odd])
    assert not bad
    assert [row[0] for row in rows[1:]] == [
        "", ' "', "a,b", "\r\n", "\t;", "é\u2028", "",
        "true", "1.5", str(10**30), '[1,{"x":null}]', "2026-01-02",
    ]  # fmt: skip
    assert written([7, "x"]) == ([["value"], ["7"], ["x"]], {})


def test_another_delimiter_decides_what_is_quoted() -> None:
    assert written([{"a": "1;2", "b": "1,2"}], delimiter=";")[0] == [["a", "b"], ["1;2", "1,2"]]


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("delimiter", [None, ",", "\t"])
def test_an_output_says_what_decides_it(compression: Compression, delimiter: str | None) -> None:
    output = TextOutput(delimiter=delimiter, compression=compression, columns=("a",))
    assert output.options == {
        "output format": "ndjson" if delimiter is None else "csv",
        "output delimiter": delimiter,
        "output compression": compression.value,
        "output columns": ["a"],
    }
    assert output.is_streamed
    assert output.recipe().needs_layout == (delimiter is not None)
    assert list(output.frame(b"x")) == [b"x"]
    assert list(output.tail(io.BytesIO(), 0)) == []
    assert output.head(None) == b""


def test_a_result_that_has_no_text_fails_alone_though_it_is_among_the_first() -> None:
    odd = object()
    rows, bad = written([{"a": 1}, odd, {"a": odd}, {"a": 2}])
    assert rows == [["a"], ["1"], ["2"]]
    assert list(bad) == [1, 2]
    assert "TypeError: object has no JSON form" in bad[1]


def test_results_without_a_column_fail_and_are_not_lost() -> None:
    for results in ([{}, {}], [object()]):
        assert written(results) == ([], dict.fromkeys(range(len(results)), "the result has no columns"))


class Aliased(pydantic.BaseModel):
    first: int = pydantic.Field(serialization_alias="First")
    hidden: str = pydantic.Field("", exclude=True)

    @pydantic.computed_field
    @property
    def twice(self) -> int:
        return 2 * self.first


def test_models_have_the_columns_that_they_are_dumped_with() -> None:
    assert written([Aliased(first=2)], Aliased) == ([["First", "twice"], ["2", "4"]], {})


class Tagged(msgspec.Struct, tag_field="kind", tag="t"):
    a: int


class Listed(msgspec.Struct, array_like=True):
    a: int
    b: int


def test_structs_have_the_columns_that_they_are_written_with() -> None:
    assert written([Tagged(1)], Tagged) == ([["kind", "a"], ["t", "1"]], {})
    assert written([Listed(1, 2)], Listed) == ([["value"], ["[1,2]"]], {})
