"""Files through columnar handlers, from and to every format."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = [
    {
        "id": number,
        "amount": number / 4,
        "note": f'said "{number}",\nthen left' if number % 7 == 0 else f"n{number}",
    }
    for number in range(600)
]
TABLE = pa.Table.from_pylist(ROWS)


def text_of(rows: list[dict[str, Any]]) -> str:
    quoted = [{**row, "note": '"' + row["note"].replace('"', '""') + '"'} for row in rows]
    return "id,amount,note\n" + "".join(f"{row['id']},{row['amount']},{row['note']}\n" for row in quoted)


def write(mill: Any, name: str) -> None:
    if name.endswith(".csv"):
        mill.write(name, text_of(ROWS))
    elif name.endswith(".ndjson"):
        mill.write(name, "".join(json.dumps(row) + "\n" for row in ROWS))
    elif name.endswith(".parquet"):
        pq.write_table(TABLE, mill.folder / name, row_group_size=100)
    else:
        with pa.ipc.new_file(mill.folder / name, TABLE.schema) as file:
            file.write_table(TABLE, max_chunksize=100)


def read(mill: Any, name: str) -> list[dict[str, Any]]:
    path = mill.folder / name
    if name.endswith(".csv"):
        return [
            {"id": int(row["id"]), "amount": float(row["amount"]), "note": row["note"]}
            for row in mill.read(name)
        ]
    if name.endswith(".ndjson"):
        return [json.loads(line) for line in path.read_text().splitlines()]
    if name.endswith(".arrows"):
        return list(pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist())
    if name.endswith(".arrow"):
        return list(pa.ipc.open_file(path.read_bytes()).read_all().to_pylist())
    return list(pq.read_table(path).to_pylist())


@pytest.mark.parametrize("source", ["in.csv", "in.ndjson", "in.parquet", "in.arrow"])
@pytest.mark.parametrize("sink", ["out.csv", "out.ndjson", "out.parquet", "out.arrow", "out.arrows", "out/"])
def test_every_format_becomes_every_other(mill: Any, source: str, sink: str) -> None:
    write(mill, source)
    mill.go("column_mill:same", source, "-o", sink, "--chunk-bytes", "2000")
    assert read(mill, sink) == ROWS


@pytest.mark.parametrize("handler", ["mill:same", "column_mill:same"])
def test_a_stream_of_arrow_goes_to_standard_output(mill: Any, handler: str) -> None:
    write(mill, "in.parquet")
    ran = mill.run(handler, "in.parquet", "-o", "-", "--output-format", "arrow", "--workers", "0")
    assert ran.code == 0, ran.said
    assert ran.out.endswith(b"\xff\xff\xff\xff\0\0\0\0")  # the end mark: none of it is missing
    assert pa.ipc.open_stream(ran.out).read_all().to_pylist() == ROWS


def test_a_column_is_added_by_worker_processes_and_the_others_are_as_they_were(mill: Any) -> None:
    write(mill, "in.csv")
    mill.end("column_mill:gross", "in.csv", "-o", "out.csv", "--chunk-bytes", "3000")
    found = mill.read()
    assert [row["amount"] for row in found] == [str(row["amount"]) for row in ROWS]  # 1.0 is not made 1
    for row, before in zip(found, ROWS, strict=True):
        assert float(row["gross"]) == pytest.approx(before["amount"] * 1.19, abs=0.00501)


@pytest.mark.parametrize(
    "options", [(), ("--batch-size", "7"), ("--batch-size", "auto"), ("--chunk-bytes", "500")]
)
def test_the_output_is_the_same_whatever_the_sizes_are(mill: Any, options: tuple[str, ...]) -> None:
    write(mill, "in.csv")
    mill.go("column_mill:gross", "in.csv", "-o", "expected.csv", "--chunk-bytes", "100000")
    mill.go("column_mill:gross", "in.csv", "-o", "out.csv", *options)
    assert (mill.folder / "out.csv").read_bytes() == (mill.folder / "expected.csv").read_bytes()


def test_cells_that_fit_no_type_and_rows_the_handler_fails_are_dead_letters_with_their_place(
    mill: Any,
) -> None:
    lines = [
        "id,amount,note\n",
        *(f"{number},{number}.5,x\n" for number in range(40_000)),
        "-1,oops,x\n",
        "-2,-3.5,y\n",
    ]
    lines[20_000] = "007,1.5,leading zeros\n"
    text = "".join(lines)
    mill.write("in.csv", text)

    mill.go("column_mill:strict", "in.csv", "-o", "out.csv", "--types", "id=int64,amount=double", code=3)

    letters = mill.letters()
    assert [(each["row"], each["stage"], each["code"]) for each in letters] == [
        (40_001, "validate", "invalid_item"),
        (40_002, "handler", "negative"),
    ]
    assert letters[0]["message"] == "column amount: 'oops' is not double"
    assert letters[1]["message"] == "below zero"
    assert [text.encode()[each["start"] : each["end"]] for each in letters] == [
        b"-1,oops,x\n",
        b"-2,-3.5,y\n",
    ]
    assert mill.read()[19_999]["id"] == "007"  # the text is passed on as it stood


def test_types_are_inferred_only_where_nothing_is_lost(mill: Any) -> None:
    mill.write("in.csv", "code,big,na,n,b\n007,12345678901234567890123,NA,1,true\n008,5,x,,false\n")
    mill.go("column_mill:same", "in.csv", "-o", "out.parquet")
    found = pq.read_table(mill.folder / "out.parquet")
    assert found.schema.types == [pa.string(), pa.string(), pa.string(), pa.int64(), pa.bool_()]
    assert found.to_pylist()[0] == {
        "code": "007",
        "big": "12345678901234567890123",
        "na": "NA",
        "n": 1,
        "b": True,
    }


def test_a_row_that_kills_its_worker_is_found_and_left_out(mill: Any) -> None:
    rows = [{**row, "note": "kill" if row["id"] == 333 else "x"} for row in ROWS]
    mill.write("in.csv", text_of(rows))
    mill.end("column_mill:deadly", "in.csv", "-o", "out.csv", code=3)
    assert [int(row["id"]) for row in mill.read()] == [number for number in range(600) if number != 333]
    ((letter),) = mill.letters()
    assert (letter["row"], letter["code"]) == (334, "crashed")


@pytest.mark.parametrize("sink", ["out.csv", "out.parquet"])
def test_results_with_a_column_too_many_fail_at_the_sink(mill: Any, sink: str) -> None:
    write(mill, "in.parquet")
    mill.go("column_mill:wild", "in.parquet", "-o", sink, "--batch-size", "100", code=3)
    assert [row["id"] for row in read(mill, sink)] == list(range(500))
    letters = mill.letters(f"{sink}.dead.ndjson")
    assert {(each["stage"], each["code"]) for each in letters} == {("sink", "unusable_result")}
    assert [each["item"]["id"] for each in letters] == list(range(500, 600))


@pytest.mark.parametrize("name", ["in.csv", "in.ndjson", "in.parquet"])
def test_no_more_rows_are_read_than_asked_for(mill: Any, name: str) -> None:
    write(mill, name)
    mill.go("column_mill:same", name, "-o", "out.parquet", "--limit", "130")
    assert read(mill, "out.parquet") == ROWS[:130]


@pytest.mark.parametrize(("content", "columns"), [("id,amount,note\n", 3), ("", 0)])
def test_an_input_without_rows_gives_an_output_without_rows(mill: Any, content: str, columns: int) -> None:
    mill.write("in.csv", content)
    mill.go("column_mill:same", "in.csv", "-o", "out.parquet")
    found = pq.read_table(mill.folder / "out.parquet")
    assert (found.num_rows, found.num_columns) == (0, columns)


def test_a_folder_has_parts_of_the_size_that_is_said(mill: Any) -> None:
    write(mill, "in.parquet")
    options = ["--chunk-bytes", "2000", "--commit-seconds", "0", "--part-bytes", "1"]
    mill.go("column_mill:same", "in.parquet", "-o", "out/", *options)
    assert len(list((mill.folder / "out").glob("part-*.parquet"))) > 1
    assert read(mill, "out/") == ROWS


def test_rows_become_parquet_too(mill: Any) -> None:
    write(mill, "in.parquet")
    mill.go("anything", "in.parquet", "-o", "out.parquet", "--chunk-bytes", "2000")
    assert pq.read_table(mill.folder / "out.parquet").equals(TABLE)


def test_types_for_a_handler_of_rows_are_refused(mill: Any) -> None:
    write(mill, "in.csv")
    said = mill.go("same", "in.csv", "-o", "out.csv", "--types", "id=int64", code=2)
    assert "types are for columns of CSV" in " ".join(said.split())


@pytest.mark.parametrize("sink", ["out.csv", "out.ndjson", "out.parquet", "out.arrow"])
@pytest.mark.parametrize("handler", ["mill:same", "column_mill:same"])
def test_times_in_nanoseconds_as_pandas_writes_them_go_through(mill: Any, handler: str, sink: str) -> None:
    stamps = pa.array([1_704_067_200_123_456_000, None], pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({"id": [1, 2], "at": stamps}), mill.folder / "in.parquet")
    mill.go(handler, "in.parquet", "-o", sink)
    rows = mill.read() if sink == "out.csv" else read(mill, sink)
    found = [str(row["at"] or "").replace("T", " ") for row in rows]
    assert [each.removesuffix("Z").removesuffix("+00:00").removesuffix("000") for each in found] == [
        "2024-01-01 00:00:00.123456",
        "",
    ]


@pytest.mark.parametrize("handler", ["mill:same", "column_mill:same"])
@pytest.mark.parametrize("groups", [0, 1])
def test_a_table_without_rows_keeps_the_types_of_its_columns(mill: Any, handler: str, groups: int) -> None:
    schema = pa.schema([("id", pa.int32()), ("at", pa.timestamp("us", "UTC")), ("amount", pa.float64())])
    with pq.ParquetWriter(mill.folder / "in.parquet", schema) as file:
        for _ in range(groups):
            file.write_table(schema.empty_table())
    words = ("in.parquet", "--select", "at,id", "--rename", "id=key")
    mill.go(handler, *words, "-o", "out.parquet")
    mill.go(handler, *words, "-o", "out.arrow")
    expected = pa.schema([("at", pa.timestamp("us", "UTC")), ("key", pa.int32())])
    assert pq.read_schema(mill.folder / "out.parquet").equals(expected)
    assert pa.ipc.open_file((mill.folder / "out.arrow").read_bytes()).schema.equals(expected)
    mill.go(handler, *words, "-o", "out.csv")
    assert (mill.folder / "out.csv").read_text() == "at,key\n"
