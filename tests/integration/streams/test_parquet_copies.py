"""Parquet to Parquet: columns that a handler did not touch are copied, and the output is what it would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

ROWS, GROUP = 100_000, 40_000
NOTES = [None if number % 10 == 0 else f"note {number % 1000}" for number in range(ROWS)]
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS)),
        "amount": pa.array([number / 4 for number in range(ROWS)]),
        "note": pa.array(NOTES),
    }
)
GROSS = pc.round(pc.multiply(TABLE["amount"], 1.19), 2)


def write(path: Path, table: pa.Table = TABLE, **options: Any) -> None:
    packing = {} if "compression" in options else {"compression": "gzip", "compression_level": 1}  # quickly
    pq.write_table(table, path, **{"row_group_size": GROUP, **packing, **options})


def codecs(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of each row group, and how its columns are compressed."""
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    return [
        (
            group.num_rows,
            {
                group.column(index).path_in_schema: group.column(index).compression
                for index in range(group.num_columns)
            },
        )
        for group in groups
    ]


COPIED = {"id": "GZIP", "amount": "GZIP", "note": "GZIP"}
ENCODED = dict.fromkeys(COPIED, "ZSTD")


@pytest.mark.parametrize("sink", ["out.parquet", "out/"])
@pytest.mark.parametrize("options", [(), ("--batch-size", "900"), ("--batch-size", "auto")])
def test_columns_beside_a_new_one_are_copied(mill: Any, sink: str, options: tuple[str, ...]) -> None:
    write(mill.folder / "in.parquet")
    mill.go("column_mill:gross", "in.parquet", "-o", sink, *options)

    path = mill.folder / sink
    assert pq.read_table(path) == TABLE.append_column("gross", GROSS)
    found = codecs(path if path.is_file() else path / "part-00000.parquet")
    assert found == [(rows, {**COPIED, "gross": "ZSTD"}) for rows in (GROUP, GROUP, ROWS - 2 * GROUP)]


def test_workers_copy_too_and_what_is_copied_is_the_same_however_a_run_goes(mill: Any) -> None:
    write(mill.folder / "in.parquet")
    mill.end("column_mill:gross", "in.parquet", "-o", "one.parquet")
    mill.go("column_mill:gross", "in.parquet", "-o", "two.parquet", "--batch-size", "7000")
    mill.go("column_mill:gross", "in.parquet", "-o", "three.parquet", "--chunk-bytes", "100000")

    one, two, three = ((mill.folder / f"{name}.parquet").read_bytes() for name in ("one", "two", "three"))
    assert one == two == three


def test_a_handler_may_rename_leave_out_and_reorder_columns(mill: Any) -> None:
    write(mill.folder / "in.parquet")
    mill.go("column_mill:renamed", "in.parquet", "-o", "out.parquet")

    columns = {"words": TABLE["note"], "amount": pc.add(TABLE["amount"], 1), "id": TABLE["id"]}
    assert pq.read_table(mill.folder / "out.parquet") == pa.table(columns)
    assert codecs(mill.folder / "out.parquet")[0][1] == {"words": "GZIP", "amount": "ZSTD", "id": "GZIP"}


def test_selected_columns_are_copied_under_their_new_names(mill: Any) -> None:
    write(mill.folder / "in.parquet")
    mill.go(
        "column_mill:same", "in.parquet", "-o", "out.parquet", "--select", "note,id", "--rename", "note=words"
    )

    expected = pa.table({"words": TABLE["note"], "id": TABLE["id"]})
    assert pq.read_table(mill.folder / "out.parquet") == expected
    assert codecs(mill.folder / "out.parquet")[0][1] == {"words": "GZIP", "id": "GZIP"}


@pytest.mark.parametrize("handler", ["table", "turned"])
def test_rows_that_are_moved_are_encoded(mill: Any, handler: str) -> None:
    write(mill.folder / "in.parquet", row_group_size=ROWS)
    mill.go(f"column_mill:{handler}", "in.parquet", "-o", "out.parquet", "--batch-size", str(ROWS))

    expected = TABLE if handler == "table" else TABLE.take(pa.array(range(ROWS - 1, -1, -1)))
    assert pq.read_table(mill.folder / "out.parquet") == expected
    assert codecs(mill.folder / "out.parquet") == [(ROWS, ENCODED)]


def test_a_row_group_in_which_a_row_fails_is_encoded_and_the_others_are_copied(mill: Any) -> None:
    amounts = TABLE["amount"].to_pylist()
    amounts[GROUP + 5] = -1.0
    table = TABLE.set_column(1, "amount", pa.array(amounts))
    write(mill.folder / "in.parquet", table)
    mill.go("column_mill:strict", "in.parquet", "-o", "out.parquet", code=3)

    kept = pa.concat_tables([table.slice(0, GROUP + 5), table.slice(GROUP + 6)])
    assert pq.read_table(mill.folder / "out.parquet") == kept
    assert [each["row"] for each in mill.letters("out.parquet.dead.ndjson")] == [GROUP + 6]
    assert codecs(mill.folder / "out.parquet") == [
        (GROUP, COPIED),
        (GROUP - 1, ENCODED),
        (ROWS - 2 * GROUP, COPIED),
    ]


def test_rows_after_a_limit_are_not_copied(mill: Any) -> None:
    write(mill.folder / "in.parquet")
    mill.go("column_mill:same", "in.parquet", "-o", "out.parquet", "--limit", str(GROUP + 10))

    assert pq.read_table(mill.folder / "out.parquet") == TABLE.slice(0, GROUP + 10)
    assert codecs(mill.folder / "out.parquet") == [(GROUP, COPIED), (10, ENCODED)]


def test_a_row_that_kills_its_worker_is_left_out_of_what_is_encoded(mill: Any) -> None:
    notes = ["kill" if number == GROUP + 7 else note for number, note in enumerate(NOTES)]
    table = TABLE.set_column(2, "note", pa.array(notes))
    write(mill.folder / "in.parquet", table)
    mill.end("column_mill:deadly", "in.parquet", "-o", "out.parquet", code=3)

    kept = pa.concat_tables([table.slice(0, GROUP + 7), table.slice(GROUP + 8)])
    assert pq.read_table(mill.folder / "out.parquet") == kept


def test_files_of_several_codecs_and_versions_become_one(mill: Any) -> None:
    write(mill.folder / "1.parquet", compression="none", data_page_version="2.0")
    write(mill.folder / "2.parquet", TABLE.slice(0, 0))
    write(mill.folder / "3.parquet", compression="snappy", use_dictionary=False, data_page_size=1000)
    mill.go("column_mill:gross", "1.parquet", "2.parquet", "3.parquet", "-o", "out.parquet")

    one = TABLE.append_column("gross", GROSS)
    assert pq.read_table(mill.folder / "out.parquet") == pa.concat_tables([one, one])
    kinds = [group["note"] for _, group in codecs(mill.folder / "out.parquet")]
    assert kinds == ["UNCOMPRESSED"] * 3 + ["SNAPPY"] * 3


def test_a_codec_that_is_asked_for_is_that_of_all_columns(mill: Any) -> None:
    write(mill.folder / "in.parquet")
    mill.go("column_mill:gross", "in.parquet", "-o", "zstd.parquet", "--codec", "zstd")
    mill.go("column_mill:gross", "in.parquet", "-o", "gzip.parquet", "--codec", "gzip")

    for name in ("zstd", "gzip"):
        groups = codecs(mill.folder / f"{name}.parquet")
        assert {kind for _, group in groups for kind in group.values()} == {name.upper()}


def test_small_row_groups_become_larger_ones(mill: Any) -> None:
    write(mill.folder / "in.parquet", row_group_size=500)
    mill.go("column_mill:same", "in.parquet", "-o", "out.parquet")

    assert pq.read_table(mill.folder / "out.parquet") == TABLE
    assert len(codecs(mill.folder / "out.parquet")) < ROWS // 1000


def test_nothing_is_copied_for_a_handler_of_few_rows_at_once_whose_chunks_should_be_small(mill: Any) -> None:
    write(mill.folder / "in.parquet")
    mill.go("column_mill:same", "in.parquet", "-o", "out.parquet", "--batch-size", "100")

    assert pq.read_table(mill.folder / "out.parquet") == TABLE
    assert all(group == ENCODED for _, group in codecs(mill.folder / "out.parquet"))
