from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.parquet_footer import (
    footer_of,
    index_range,
    piece_footer_size,
    read_footer,
    shift,
    shift_index,
    structs_of,
)
from gristmill.streams.formats.thrift_compact import decode, encode
from gristmill.streams.formats.thrift_tree import BINARY, I64, LIST, STRUCT, Items, Raw, Struct


def encoded(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


FILE = encoded(
    pa.table({"a": range(6), "b": list("aabbcc")}),
    row_group_size=3,
    write_page_index=True,
    bloom_filter_options={"a": True},
)


def remade(change: dict[int, object], *, chunk: dict[int, object] | None = None) -> bytes:
    """The metadata of the file with fields of it, or of its first column chunk, changed."""
    tree = decode(FILE[-piece_footer_size(FILE) : -8])
    tree.fields.update(change)
    tree.structs(4)[0].structs(1)[0].fields.update(chunk or {})
    return encode(tree)


def test_a_footer_tells_rows_and_row_groups() -> None:
    footer = footer_of(FILE)
    assert footer.rows == 6
    assert [group.integer(3) for group in footer.row_groups] == [3, 3]
    assert footer.size == piece_footer_size(FILE) == int.from_bytes(FILE[-8:-4], "little") + 8
    assert [element.fields[4][1] for element in structs_of(footer.raw(2) or b"")] == [b"schema", b"a", b"b"]


def test_every_offset_is_moved_and_nothing_else() -> None:
    footer = footer_of(FILE)
    before = pq.read_metadata(io.BytesIO(FILE))
    for group in footer.row_groups:
        shift(group, 1_000_000, len(FILE) - footer.size)
    metadata = encode(footer.tree)
    after = pq.read_metadata(io.BytesIO(b"PAR1" + metadata + len(metadata).to_bytes(4, "little") + b"PAR1"))
    moved = {"data_page_offset", "dictionary_page_offset", "bloom_filter_offset"}
    for i in range(before.num_row_groups):
        for j in range(before.num_columns):
            ours, theirs = before.row_group(i).column(j).to_dict(), after.row_group(i).column(j).to_dict()
            for name, value in ours.items():
                assert theirs[name] == (value + 1_000_000 if name in moved and value else value), name
    opened = decode(metadata).structs(4)
    original = decode(FILE[-footer.size : -8]).structs(4)
    for theirs, ours in zip(opened, original, strict=True):
        assert theirs.integer(5) == (ours.integer(5) or 0) + 1_000_000
        chunks = zip(theirs.structs(1), ours.structs(1), strict=True)
        assert all(one.integer(6) == (other.integer(6) or 0) + 1_000_000 for one, other in chunks)


def test_an_offset_of_nothing_stays_nothing() -> None:
    group = footer_of(encoded(pa.table({"a": pa.array([], pa.int64())}))).row_groups[0]
    shift(group, 500, 10**6)
    chunk = group.structs(1)[0]
    meta = chunk.fields[3][1]
    assert isinstance(meta, Struct)
    assert chunk.integer(2) == 0
    assert meta.integer(9) == 0
    assert meta.integer(11) == 504


def test_an_offset_index_has_its_pages_moved() -> None:
    chunk = footer_of(FILE).row_groups[1].structs(1)[0]
    start, size = index_range(chunk) or (0, 0)
    index = FILE[start : start + size]
    pages = [page.fields for page in decode(index).structs(1)]
    later = [page.fields for page in decode(shift_index(index, 70_000)).structs(1)]
    assert pages
    assert later == [{**page, 1: (I64, page[1][1] + 70_000)} for page in pages]  # type: ignore[operator]
    with pytest.raises(ParquetInvalid, match="no offset"):
        shift_index(encode(Struct({1: (LIST, Items(STRUCT, [Struct({2: (I64, 3)})]))})), 1)


def test_a_column_without_an_offset_index_has_no_range() -> None:
    assert index_range(footer_of(encoded(pa.table({"a": [1]}))).row_groups[0].structs(1)[0]) is None


@pytest.mark.parametrize("piece", [b"", b"PAR1", b"hello", b"\0\0\0\0PAR1", FILE[1:], FILE[:-1], FILE[4:]])
def test_what_is_no_whole_file_is_refused(piece: bytes) -> None:
    with pytest.raises(ParquetInvalid, match=r"cut off|missing"):
        footer_of(piece)


def test_encrypted_files_are_refused() -> None:
    with pytest.raises(ParquetInvalid, match="encrypted"):
        footer_of(FILE[:-4] + b"PARE")
    with pytest.raises(ParquetInvalid, match="encrypted"):
        read_footer(remade({8: (STRUCT, Struct({1: (STRUCT, Struct({}))}))}))
    with pytest.raises(ParquetInvalid, match="column of the Parquet file is encrypted"):
        read_footer(remade({}, chunk={8: (STRUCT, Struct({1: (STRUCT, Struct({}))}))}))


def test_a_file_with_its_data_elsewhere_is_refused() -> None:
    with pytest.raises(ParquetInvalid, match="data in other files"):
        read_footer(remade({}, chunk={1: (BINARY, b"part-0.parquet")}))


def test_metadata_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ParquetInvalid, match="do not add up to 7 rows"):
        read_footer(remade({3: (I64, 7)}))
    tree = decode(FILE[-piece_footer_size(FILE) : -8])
    del tree.fields[2]
    with pytest.raises(ParquetInvalid, match="lacks its schema"):
        read_footer(encode(tree))
    with pytest.raises(ParquetInvalid, match="points at byte"):
        shift(footer_of(FILE).row_groups[1], 0, 50)
    with pytest.raises(ParquetInvalid, match="has no metadata"):
        shift(read_footer(remade({}, chunk={3: (BINARY, Raw(b"\0"))})).row_groups[0], 0, len(FILE))
