"""Inputs that are hard to read: each is read right, or refused with what to do."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

QUOTED = 'id,text\r\n1,"a\n""b"",\r\n"\n2,\n3,"x\r\ry"\r\n\r\n4,last'


def rows_of(text: str, **options: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), **options))


@pytest.mark.parametrize("size", [*range(1, 40), 1000])
def test_quoted_newlines_are_read_the_same_at_every_size_of_chunks(mill: Any, size: int) -> None:
    mill.write("in.csv", QUOTED)
    mill.go("same", "in.csv", "-o", "out.csv", "--chunk-bytes", str(size))
    assert mill.read() == rows_of(QUOTED, strict=True)


def test_a_stray_quote_stops_the_run_at_its_byte_with_advice(mill: Any) -> None:
    mill.write("in.csv", text := 'id,text\n1,ok\n2,5" wide\n3,ok\n')
    said = mill.go("same", "in.csv", "-o", "out.csv", "--chunk-bytes", "8", code=65)
    assert f"byte {text.index(chr(34))}" in said
    assert "--quoting lenient" in said
    assert (mill.folder / "out.csv.partial").read_text() == "id,text\n1,ok\n"  # what came before is safe
    assert not (mill.folder / "out.csv").exists()


@pytest.mark.parametrize("text", ['id,text\n1,5" wide\n2,"a"b\n3,"c"\n', 'id,text\n1,a"\n2,"b\nc"d"\n3,"e'])
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_lenient_quoting_reads_as_the_module_csv_does(mill: Any, text: str, size: int) -> None:
    mill.write("in.csv", text)
    mill.go("same", "in.csv", "-o", "out.csv", "--quoting", "lenient", "--chunk-bytes", str(size))
    assert mill.read() == rows_of(text)


def test_rows_of_another_width_are_dead_letters_with_their_line(mill: Any) -> None:
    mill.write("in.csv", text := "id,text\n1,a\n2\n3,b\n4,c,d\n5,e\n")
    mill.go("same", "in.csv", "-o", "out.csv", "--chunk-bytes", "4", code=3)
    assert [row["id"] for row in mill.read()] == ["1", "3", "5"]
    letters = mill.letters()
    assert [(each["row"], each["stage"], each["code"], each["raw"]) for each in letters] == [
        (2, "parse", "column_count", "2\n"),
        (4, "parse", "column_count", "4,c,d\n"),
    ]
    assert "1 cells, not 2" in letters[0]["message"]
    assert [text[each["start"] : each["end"]] for each in letters] == ["2\n", "4,c,d\n"]


def test_short_and_long_rows_are_rows_where_that_is_wanted(mill: Any) -> None:
    mill.write("in.csv", "id,text\n1\n2,a,b,c\n")
    mill.go("same", "in.csv", "-o", "out.csv", "--pad", "--extra", "more")
    assert mill.read() == [
        {"id": "1", "text": "", "more": ""},
        {"id": "2", "text": "a", "more": "b,c"},
    ]


def test_bytes_that_are_no_text_spoil_their_row_and_are_kept(mill: Any) -> None:
    mill.write("in.csv", b"id,text\n1,caf\xe9\n2,caf\xc3\xa9\n")
    mill.go("same", "in.csv", "-o", "out.csv", code=3)
    assert mill.read() == [{"id": "2", "text": "café"}]
    (letter,) = mill.letters()
    assert (letter["code"], base64.b64decode(letter["base64"])) == ("bad_encoding", b"1,caf\xe9\n")
    mill.go("same", "in.csv", "-o", "latin.csv", "--encoding", "latin-1")
    assert mill.read("latin.csv")[0] == {"id": "1", "text": "café"}


@pytest.mark.parametrize("options", [(), ("--header", "id,text")])
def test_a_byte_order_mark_is_no_part_of_a_name_or_cell(mill: Any, options: tuple[str, ...]) -> None:
    mill.write("in.csv", b"\xef\xbb\xbf" + (b"" if options else b'"id",text\n') + b"1,a\n")
    mill.go("same", "in.csv", "-o", "out.csv", *options)
    assert mill.read() == [{"id": "1", "text": "a"}]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["in.csv", "in.ndjson"])
def test_utf_16_is_refused_with_how_to_convert_it(mill: Any, encoding: str, name: str) -> None:
    mill.write(name, ('{"a":1}\n' if name == "in.ndjson" else "id,text\n1,a\n").encode(encoding))
    assert "iconv -f utf-16 -t utf-8" in mill.go("same", name, "-o", "out.csv", code=65)
    assert [each.name for each in mill.folder.iterdir()] == [name]


@pytest.mark.parametrize("before", [0, 100_000])
def test_a_nul_byte_spoils_its_row_wherever_it_stands(mill: Any, before: int) -> None:
    mill.write("in.csv", b"id,text\n" + b"1,a\n" * before + b"2,a\0b\n3,c\n")
    mill.go("same", "in.csv", "-o", "out.csv", code=3)
    assert [(each["code"], each["row"]) for each in mill.letters()] == [("nul_byte", before + 1)]
    assert len(mill.read()) == before + 1


def test_a_bad_cell_fails_its_row_before_the_handler(mill: Any) -> None:
    mill.write("in.csv", "id,price,note\n1,2.5,x\n2,oops,y\n12345678901234567890123,3,\n007,1,z\n")
    mill.go("priced", "in.csv", "-o", "out.csv", code=3)
    assert [(row["id"], row["double"]) for row in mill.read()] == [
        ("1", "5.0"),
        ("12345678901234567890123", "6.0"),
    ]
    letters = mill.letters()
    assert [(each["row"], each["stage"], each["code"]) for each in letters] == [
        (2, "validate", "invalid_item"),
        (4, "validate", "invalid_item"),
    ]
    assert "price" in letters[0]["message"]
    assert letters[0]["item"] == {"id": "2", "price": "oops", "note": "y"}


def test_strings_stay_as_they_are(mill: Any) -> None:
    mill.write("in.csv", text := "id,text\n007,NA\n1e5,null\n12345678901234567890123, x \n")
    mill.go("same", "in.csv", "-o", "out.csv")
    assert mill.read() == rows_of(text)


def test_keys_of_later_lines_decide_no_columns(mill: Any) -> None:
    lines = [{"id": 1, "text": "a"}, {"id": 2}, {"id": 3, "text": "b", "new": True}]
    mill.write("in.ndjson", "".join(json.dumps(line) + "\n" for line in lines))
    mill.go("anything", "in.ndjson", "-o", "out.csv", "--chunk-bytes", "30", code=3)
    assert mill.read() == [{"id": "1", "text": "a"}, {"id": "2", "text": ""}]
    (letter,) = mill.letters()
    assert (letter["stage"], letter["code"], letter["item"]) == ("sink", "unusable_result", lines[2])
    assert "new" in letter["message"]


def test_columns_of_several_files_are_matched_by_name(mill: Any) -> None:
    mill.write("a.csv", "id,text\n1,a\n")
    mill.write("b.csv", "text,id\nb,2\n")
    mill.go("same", "?.csv", "-o", "out.csv")
    assert mill.read() == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]


def test_a_file_that_lacks_a_column_is_refused_before_anything_is_written(mill: Any) -> None:
    mill.write("a.csv", "id,text\n1,a\n")
    mill.write("b.csv", "id\n2\n")
    said = mill.go("same", "a.csv", "b.csv", "-o", "out.csv", code=65)
    assert "b.csv has no column text" in said
    assert sorted(each.name for each in mill.folder.iterdir()) == ["a.csv", "b.csv"]
    mill.go("same", "a.csv", "b.csv", "-o", "out.csv", "--select", "id")
    assert [row["id"] for row in mill.read()] == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "head"),
    [
        (b"", b""),
        (b"\xef\xbb\xbf", b""),
        (b"\n\r\n", b""),
        (b"id,text\n", b"id,text\n"),
        (b"id,text", b"id,text\n"),
    ],
)
def test_an_input_without_rows_is_done_at_once(mill: Any, content: bytes, head: bytes) -> None:
    mill.write("in.csv", content)
    said = mill.go("same", "in.csv", "-o", "out.csv")
    assert "0 rows read" in said
    assert (mill.folder / "out.csv").read_bytes() == head
    assert not (mill.folder / "out.csv.dead.ndjson").exists()


def test_the_columns_of_a_result_type_are_written_without_a_row(mill: Any) -> None:
    mill.write("in.csv", "")
    mill.go("summed", "in.csv", "-o", "out.csv")
    assert (mill.folder / "out.csv").read_text() == "id,total\n"


@pytest.mark.parametrize(
    "text", ["id,text\r\n1,a\r\n2,b", "id,text\n\n1,a\n\r\n\n2,b\n\n", "id,text\r1,a\r2,b\r"]
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_line_ends_of_all_kinds_end_records(mill: Any, text: str, size: int) -> None:
    mill.write("in.csv", text)
    mill.go("same", "in.csv", "-o", "out.csv", "--chunk-bytes", str(size))
    assert mill.read() == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_row_numbers_and_bytes_of_letters_are_the_same_at_every_size_of_chunks(mill: Any, size: int) -> None:
    mill.write("in.csv", text := 'id,text\n1,a\n\n2,"b\n"\n3,c\n\n\n4,d\n')
    mill.write("in.ndjson", lines := '{"id":1}\n\n{"id":2}\n \n{"id":\r3}\n{"id":4}\n')
    for name, content in (("in.csv", text), ("in.ndjson", lines)):
        mill.go("odd", name, "-o", f"{name}.out.ndjson", "--chunk-bytes", str(size), code=3)
        letters = mill.letters(f"{name}.out.ndjson.dead.ndjson")
        assert [int(each["item"]["id"]) for each in letters] == [2, 4]
        assert [each["row"] for each in letters] == ([3, 7] if name == "in.csv" else [3, 6])
        assert [content[each["start"] : each["end"]].strip()[-2:] for each in letters] == (
            ['\n"', ",d"] if name == "in.csv" else ["2}", "4}"]
        )


def test_letters_keep_numbers_of_any_length(mill: Any) -> None:
    number = 12345678901234567890123
    mill.write("in.ndjson", f'{{"id":1}}\n{{"id":2,"big":{number},"exact":1.10}}\n')
    mill.go("odd", "in.ndjson", "-o", "out.ndjson", "--chunk-bytes", "4", code=3)
    text = (mill.folder / "out.ndjson.dead.ndjson").read_text()
    assert f'"item":{{"id":2,"big":{number},"exact":1.10}}' in text
    assert '"row":2' in text


@pytest.mark.parametrize("size", [1000, 100_000, 4_000_000])
def test_a_huge_row_is_a_row(mill: Any, size: int) -> None:
    mill.write("in.csv", f'id,text\n1,a\n2,"{"x" * size}\n"\n3,b\n')
    mill.go("same", "in.csv", "-o", "out.csv", "--chunk-bytes", "64")
    assert [len(row["text"]) for row in mill.read()] == [1, size + 1, 1]


@pytest.mark.parametrize("name", ["in.csv", "in.ndjson"])
def test_a_record_without_an_end_stops_the_run_where_it_begins(mill: Any, name: str) -> None:
    record = '1,"' if name == "in.csv" else '{"id": 1, "text": "'
    first = "id,text\n0,a\n" if name == "in.csv" else '{"id":0}\n'
    mill.write(name, first + record + "x" * 50_000 + "\n" * (name == "in.csv") + "x" * 50_000)
    said = mill.go("anything", name, "-o", "out.csv", "--max-record", "5000", "--chunk-bytes", "100", code=65)
    assert f"begins at byte {len(first)}" in said
    assert "--max-record" in said
    assert (mill.folder / "out.csv.partial").read_text().count("\n") == 2  # what came before is safe


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("id,,ü", ["id", "_col2", "ü"]),
        ("a,A,a b", ["a", "A", "a b"]),
        ('"x,y","p\nq",class', ["x,y", "p\nq", "class"]),
    ],
)
def test_odd_headers_are_kept_as_they_are(mill: Any, header: str, names: list[str]) -> None:
    mill.write("in.csv", f"{header}\n1,2,3\n")
    mill.go("same", "in.csv", "-o", "out.csv")
    assert mill.read() == [dict(zip(names, "123", strict=True))]


def test_two_columns_of_one_name_are_an_error_unless_said_otherwise(mill: Any) -> None:
    mill.write("in.csv", "a,b,a\n1,2,3\n")
    said = mill.go("same", "in.csv", "-o", "out.csv", code=65)
    assert "'a' more than once" in said
    mill.go("same", "in.csv", "-o", "out.csv", "--on-duplicate", "rename")
    assert mill.read() == [{"a": "1", "b": "2", "a_2": "3"}]
    mill.go("same", "in.csv", "-o", "first.csv", "--on-duplicate", "first")
    assert mill.read("first.csv") == [{"a": "1", "b": "2"}]
    assert "on_duplicate 'last'" in mill.go("same", "in.csv", "-o", "o.csv", "--on-duplicate", "last", code=2)


def test_columns_are_selected_and_renamed(mill: Any) -> None:
    mill.write("in.csv", "a,b,c\n1,2,3\n")
    mill.go("same", "in.csv", "-o", "out.csv", "--select", "c,a", "--rename", "c=last")
    assert mill.read() == [{"last": "3", "a": "1"}]
    said = mill.go("same", "in.csv", "-o", "new.csv", "--select", "c,d", code=2)
    assert "there is no column 'd'" in said
    assert not list(mill.folder.glob("new*"))


@pytest.mark.parametrize("size", [1, 3, 10, 25, 1000])
def test_a_limit_is_exact(mill: Any, size: int) -> None:
    mill.write("in.csv", "id,text\n" + "".join(f"{number},x\n\n" for number in range(1, 101)))
    said = mill.go("odd", "in.csv", "-o", "out.csv", "--limit", "7", "--chunk-bytes", str(size), code=3)
    assert "7 rows read: 4 written to out.csv, 3 failed" in said
    assert [row["id"] for row in mill.read()] == ["1", "3", "5", "7"]
    mill.go("odd", "in.csv", "-o", "none.csv", "--limit", "0")
    assert (mill.folder / "none.csv").read_text() == "id,text\n"


@pytest.mark.parametrize(
    "line", ["1,2", "[", '{"id":' + "[" * 5000 + "]" * 5000 + "}", '{"id":1e999}', '"\\ud800"']
)
@pytest.mark.parametrize("handler", ["same", "column_mill:same"])
def test_lines_that_are_no_json_of_the_type_are_letters_that_can_be_read(
    mill: Any, handler: str, line: str
) -> None:
    good = "".join(f'{{"id":"{number}"}}\n' for number in range(20))
    mill.write("in.ndjson", good + line + '\n{"id":"99"}\n')
    said = mill.go(handler, "in.ndjson", "-o", "out.ndjson", "--chunk-bytes", "40", code=3)
    assert "in.ndjson row 21, byte" in said  # a sample: the letter is read
    assert (mill.folder / "out.ndjson").read_text() == good + '{"id":"99"}\n'
    (letter,) = (mill.folder / "out.ndjson.dead.ndjson").read_text().splitlines()
    assert json.loads(letter)["row"] == 21
    mill.go("same", "out.ndjson.dead.ndjson", "-o", "again.ndjson", code=3)
    (again,) = mill.letters("again.ndjson.dead.ndjson")
    assert (again["source"], again["row"]) == ("in.ndjson", 21)


def test_letters_of_lines_replay_with_what_was_selected_of_them(mill: Any) -> None:
    mill.write("in.ndjson", '{"id":"1","a":"poison","b":1}\n{"id":"2","a":"fine","b":1}\n')
    words = ("--select", "id,a", "--rename", "a=text")
    mill.go("poisoned", "in.ndjson", "-o", "out.ndjson", *words, code=3)
    mill.go("same", "out.ndjson.dead.ndjson", "-o", "again.ndjson")
    assert (mill.folder / "again.ndjson").read_text() == '{"id":"1","text":"poison"}\n'


def test_columns_of_parquet_go_through_a_handler_of_rows_as_they_are(mill: Any) -> None:
    table = pa.table(
        {
            "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
            "large": pa.array([1, None, 2**64 - 1], pa.uint64()),
            "late": pa.array([None, None, 5], pa.int64()),
        }
    )
    pq.write_table(table, "in.parquet", row_group_size=1)
    mill.go("anything", "in.parquet", "-o", "out.parquet")
    assert pq.read_table("out.parquet").equals(table)
    mill.go("counted", "in.parquet", "-o", "out.ndjson")
    assert (mill.folder / "out.ndjson").read_text() == '{"n":1}\n{"n":0}\n{"n":0}\n'


@pytest.mark.parametrize("handler", ["anything", "column_mill:same"])
@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
def test_a_column_is_renamed_in_its_place_and_the_others_are_kept(mill: Any, handler: str, form: str) -> None:
    rows = [{"a": 1, "b": "x", "c": 2}, {"a": 3, "b": "y", "c": 4}]
    pq.write_table(pa.Table.from_pylist(rows), "in.parquet")
    mill.write("in.ndjson", "".join(json.dumps(row) + "\n" for row in rows))
    mill.write("in.csv", "a,b,c\n1,x,2\n3,y,4\n")
    mill.go(handler, f"in.{form}", "-o", "out.csv", "--rename", "b=B")
    assert (mill.folder / "out.csv").read_text() == "a,B,c\n1,x,2\n3,y,4\n"
    mill.write("no.ndjson", "")
    mill.go(handler, "no.ndjson", "-o", "no.csv", "--rename", "b=B")


def test_a_line_whose_fields_would_have_one_name_fails_alone_and_whole(mill: Any) -> None:
    mill.write("in.ndjson", '{"a":1}\n{"a":2,"b":3}\n{"b":4}\n')
    mill.go("anything", "in.ndjson", "-o", "out.ndjson", "--rename", "a=b", code=3)
    assert (mill.folder / "out.ndjson").read_text() == '{"b":1}\n{"b":4}\n'
    ((letter),) = mill.letters("out.ndjson.dead.ndjson")
    assert (letter["row"], letter["code"], letter["item"]) == (2, "invalid_item", {"a": 2, "b": 3})
