from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import ParquetInvalid, SchemaMismatch, StreamError
from gristmill.streams.formats.parquet_footer import Footer, footer_of, read_footer
from gristmill.streams.formats.parquet_join import FooterJoin, index_ranges
from gristmill.streams.formats.thrift_compact import decode, encode
from gristmill.streams.formats.thrift_tree import I16, I64, LIST, STRUCT, Items, Struct


def encoded(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def add(join: FooterJoin, piece: bytes, offset: int, footer: Footer | None = None) -> bytes:
    footer = footer or footer_of(piece)
    indexes = [piece[start : start + size] for start, size in index_ranges(footer)]
    return join.add(footer, offset, len(piece) - footer.size, indexes)


def joint(*pieces: bytes) -> bytes:
    """The pieces one after another and their footer."""
    body = b"".join(pieces)
    join = FooterJoin(len(body))
    offset = 0
    for piece in pieces:
        body += add(join, piece, offset)
        offset += len(piece)
    return body + b"".join(join.finish())


def test_files_one_after_another_are_one_file() -> None:
    tables = [pa.table({"a": column}) for column in ([1, 2, 3], [4], [None, 5])]
    file = joint(*(encoded(table, row_group_size=2) for table in tables))
    assert pq.read_table(io.BytesIO(file)) == pa.concat_tables(tables)
    assert pq.read_metadata(io.BytesIO(file)).num_row_groups == 4


def test_metadata_of_the_first_file_stands_for_all() -> None:
    first = pa.table({"a": [1]}).replace_schema_metadata({"who": "first"})
    second = pa.table({"a": [2]}).replace_schema_metadata({"who": "second", "more": "x"})
    metadata = pq.read_metadata(io.BytesIO(joint(encoded(first), encoded(second))))
    assert metadata.metadata[b"who"] == b"first"
    assert b"more" not in metadata.metadata
    assert metadata.created_by == pq.read_metadata(io.BytesIO(encoded(first))).created_by
    assert pq.read_table(io.BytesIO(joint(encoded(first), encoded(second)))).schema.metadata == {
        b"who": b"first"
    }


def test_row_groups_without_rows_are_left_out() -> None:
    empty = encoded(pa.table({"a": pa.array([], pa.int64())}))
    none = io.BytesIO()
    pq.ParquetWriter(none, pa.schema([("a", pa.int64())])).close()
    some = encoded(pa.table({"a": [1]}))
    metadata = pq.read_metadata(io.BytesIO(joint(empty, none.getvalue(), some, empty)))
    assert (metadata.num_rows, metadata.num_row_groups) == (1, 1)
    for nothing in (joint(empty), joint(none.getvalue(), empty)):
        assert pq.read_table(io.BytesIO(nothing)) == pa.table({"a": pa.array([], pa.int64())})


def test_row_groups_are_numbered_as_far_as_the_number_goes() -> None:
    piece = encoded(pa.table({"a": [1]}))
    tree = decode(piece[-footer_of(piece).size : -8])
    many = 8_200  # row groups of one row and no columns
    groups = [Struct({1: (LIST, Items(STRUCT, [])), 3: (I64, 1), 7: (I16, i)}) for i in range(many)]
    tree.fields.update({3: (I64, many), 4: (LIST, Items(STRUCT, groups))})
    metadata = encode(tree)
    join = FooterJoin(0)
    for offset in range(4):
        join.add(read_footer(metadata), offset, 0, [])
    assert join.rows == 4 * many
    after = decode(b"".join(join.finish())[:-8]).structs(4)
    assert [group.integer(7) for group in after] == [*range(32_768), *[None] * (4 * many - 32_768)]


def test_statistics_are_given_up_where_their_order_is_not_the_same_in_all_files() -> None:
    piece = encoded(pa.table({"a": [1.5]}))
    footer = footer_of(piece)
    tree = decode(piece[-footer.size : -8])
    tree.fields[7] = (LIST, Items(STRUCT, [Struct({2: (STRUCT, Struct({}))})]))
    other = read_footer(encode(tree))

    def orders(second: Footer) -> bool:
        join = FooterJoin(0)
        add(join, piece, 0)
        add(join, piece, len(piece), second)
        return 7 in decode(b"".join(join.finish())[:-8]).fields

    assert orders(footer)
    assert not orders(other)


def test_fields_of_later_versions_are_kept() -> None:
    piece = encoded(pa.table({"a": [1]}))
    tree = decode(piece[-footer_of(piece).size : -8])
    novel = (STRUCT, Struct({200: (LIST, Items(STRUCT, [Struct({}), Struct({1: (STRUCT, Struct({}))})]))}))
    tree.fields[77] = novel
    tree.structs(4)[0].fields[9] = novel
    tree.structs(4)[0].structs(1)[0].fields[900] = novel
    join = FooterJoin(0)
    add(join, piece, 0, read_footer(encode(tree)))
    after = decode(b"".join(join.finish())[:-8])
    assert after.fields[77] == novel
    assert after.structs(4)[0].fields[9] == novel
    assert after.structs(4)[0].structs(1)[0].fields[900] == novel


def test_a_file_that_is_refused_leaves_the_join_as_it_was() -> None:
    good = encoded(pa.table({"a": [1]}))
    join = FooterJoin(0)
    with pytest.raises(ParquetInvalid, match="points at byte"):
        join.add(footer_of(good), 0, 10, [])
    add(join, good, 0)
    with pytest.raises(SchemaMismatch, match=r"^Piece 1, at byte 512, has .* the type of 'a'"):
        add(join, encoded(pa.table({"a": ["x"]})), 512)
    assert join.rows == 1
    assert pq.read_table(io.BytesIO(good + b"".join(join.finish()))) == pa.table({"a": [1]})


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(StreamError, match="Append a piece first"):
        list(FooterJoin(0).finish())
