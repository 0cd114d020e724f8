from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.thrift_compact import decode, encode, list_header
from gristmill.streams.formats.thrift_tree import (
    BINARY,
    DOUBLE,
    FALSE,
    I8,
    I16,
    I32,
    I64,
    LIST,
    MAP,
    SET,
    STRUCT,
    TRUE,
    UUID,
    Items,
    Pairs,
    Raw,
    Struct,
)

INT64 = st.integers(-(2**63), 2**63 - 1)


def leaves(kind: int) -> st.SearchStrategy[object]:
    return {
        TRUE: st.sampled_from([1, 2]),
        FALSE: st.sampled_from([0, 1]),
        I8: st.binary(min_size=1, max_size=1),
        I16: st.integers(-(2**15), 2**15 - 1),
        I32: st.integers(-(2**31), 2**31 - 1),
        I64: INT64,
        DOUBLE: st.binary(min_size=8, max_size=8),
        BINARY: st.binary(max_size=200),
        UUID: st.binary(min_size=16, max_size=16),
    }[kind]


KINDS = st.sampled_from([TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, UUID])


def valued(depth: int) -> st.SearchStrategy[tuple[int, object]]:
    """A kind and a value of it, as an element of a list or map."""
    flat = KINDS.flatmap(lambda kind: st.tuples(st.just(kind), leaves(kind)))
    return flat if not depth else st.one_of(flat, nested(depth))


def nested(depth: int) -> st.SearchStrategy[tuple[int, object]]:
    lists = KINDS.flatmap(lambda kind: st.builds(Items, st.just(kind), st.lists(leaves(kind), max_size=20)))
    deep = st.builds(Items, st.just(STRUCT), st.lists(structs(depth - 1), max_size=3))
    maps = st.tuples(KINDS, KINDS).flatmap(
        lambda kinds: st.lists(st.tuples(leaves(kinds[0]), leaves(kinds[1])), max_size=4).map(
            lambda items: Pairs(*kinds, items) if items else Pairs(0, 0, [])
        )
    )
    return st.one_of(
        st.tuples(st.sampled_from([LIST, SET]), lists | deep),
        st.tuples(st.just(MAP), maps),
        st.tuples(st.just(STRUCT), structs(depth - 1)),
    )


def structs(depth: int = 2) -> st.SearchStrategy[Struct]:
    def as_field(value: tuple[int, object]) -> tuple[int, object]:
        return (value[0], None) if value[0] in {TRUE, FALSE} else value

    fields = st.dictionaries(st.integers(-300, 300), valued(depth).map(as_field), max_size=6)
    return st.builds(Struct, fields)


def footer_bytes(file: bytes) -> bytes:
    return file[-8 - int.from_bytes(file[-8:-4], "little") : -8]


def a_footer() -> bytes:
    out = io.BytesIO()
    table = pa.table({"a": [1, 2, 3], "b": [["x"], [], None]})
    pq.write_table(table, out, write_page_index=True, row_group_size=1)
    return footer_bytes(out.getvalue())


@given(structs())
def test_a_tree_that_was_written_is_read_as_it_was(tree: Struct) -> None:
    data = encode(tree)
    assert decode(data) == tree
    assert encode(decode(data)) == data


@given(structs(), st.sets(st.integers(-300, 300)))
def test_fields_outside_the_shape_are_kept_as_they_are_encoded(tree: Struct, opened: set[int]) -> None:
    data = encode(tree)
    some = decode(data, dict.fromkeys([*opened, *list(tree.fields)[::2]]))
    assert encode(some) == data
    for field, (kind, value) in some.fields.items():
        whole = field in opened or field in list(tree.fields)[::2] or kind in {TRUE, FALSE}
        assert value == tree.fields[field][1] if whole else isinstance(value, Raw)


@pytest.mark.parametrize("version", ["1.0", "2.6"])
def test_footers_of_pyarrow_are_the_same_bytes_when_written_again(version: str) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int32()),
            "d": pa.array([None, "x", "x"]).dictionary_encode(),
            "t": pa.array([0, 1, 2], pa.timestamp("us", "UTC")),
            "m": pa.array([[("k", 1.5)], [], None], pa.map_(pa.string(), pa.float64())),
            "s": pa.array([{"a": [1, 2]}, {"a": None}, None], pa.struct({"a": pa.list_(pa.int64())})),
        },
        metadata={"who": "me"},
    )
    out = io.BytesIO()
    pq.write_table(
        table, out, version=version, compression="zstd", write_page_index=True, row_group_size=2,
        bloom_filter_options={"i": True}, sorting_columns=[pq.SortingColumn(0)],
    )  # fmt: skip
    data = footer_bytes(out.getvalue())
    assert encode(decode(data)) == data


def test_footers_of_duckdb_are_the_same_bytes_when_written_again(tmp_path: Path) -> None:
    file = tmp_path / "duck.parquet"
    with duckdb.connect() as duck:
        query = "select range a, [range, 2] b, {'x': range::varchar} c, map {'k': 1.5} d from range(5000)"
        duck.sql(query).write_parquet(str(file), compression="zstd", row_group_size=2048)
    data = footer_bytes(file.read_bytes())
    assert len(decode(data).structs(4)) > 1
    assert encode(decode(data)) == data


def test_a_footer_cut_off_anywhere_is_refused() -> None:
    data = a_footer()
    for shape in (None, {3: None}):
        for end in range(len(data)):
            with pytest.raises(ParquetInvalid, match="damaged"):
                decode(data[:end], shape)
        with pytest.raises(ParquetInvalid, match="should end after"):
            decode(data + b"\0", shape)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_struct_or_refused_and_opening_it_or_not_agrees(data: bytes) -> None:
    try:
        kept = decode(data, {})
    except ParquetInvalid:
        kept = None
    try:
        opened = decode(data)
    except ParquetInvalid:
        opened = None
    if opened is not None:
        assert kept is not None
        assert list(kept.fields) == list(opened.fields)


@pytest.mark.parametrize("kind", [STRUCT, LIST, SET])
@pytest.mark.parametrize("shape", [None, {}])
def test_bottomless_nesting_is_refused(kind: int, shape: dict[int, None] | None) -> None:
    layer = bytes((1 << 4 | kind,))
    with pytest.raises(ParquetInvalid, match="deeper than 64 levels"):
        decode(layer * 5000, shape)


def test_what_no_writer_writes_is_refused() -> None:
    with pytest.raises(ParquetInvalid, match="twice"):
        decode(bytes((1 << 4 | I32, 2, I32, 2, 2, 0)))
    with pytest.raises(ParquetInvalid, match="more than 64 bits"):
        decode(bytes((1 << 4 | I64,)) + b"\xff" * 10 + b"\x01\0")
    endless = b"\xff" * 8 + b"\x01"
    for claim in (bytes((1 << 4 | LIST, 15 << 4 | I8)) + endless, bytes((1 << 4 | MAP,)) + endless + b"\x33"):
        for shape in (None, {}):
            with pytest.raises(ParquetInvalid, match=r"claims \d+ elements"):
                decode(claim + b"\0" * 9, shape)
    with pytest.raises(ParquetInvalid, match="unknown kind, 15"):
        decode(bytes((1 << 4 | 15, 0)))


def test_a_struct_may_be_written_in_two_parts() -> None:
    whole = Struct({1: (I32, -5), 2: (BINARY, b"x"), 40: (I64, 2**40)})
    first, rest = Struct({1: (I32, -5)}), Struct({2: (BINARY, b"x"), 40: (I64, 2**40)})
    assert encode(first)[:-1] + encode(rest, after=1) == encode(whole)


@pytest.mark.parametrize("size", [0, 1, 14, 15, 16, 127, 128, 100_000])
def test_a_list_may_be_written_as_its_header_and_its_elements(size: int) -> None:
    whole = encode(Struct({1: (LIST, Items(I32, [1] * size))}))
    assert encode(Struct({1: (LIST, Raw(list_header(I32, size) + b"\x02" * size))})) == whole


def test_a_field_of_another_kind_than_expected_is_refused() -> None:
    tree = Struct({1: (BINARY, b"x"), 2: (LIST, Items(I32, [1]))})
    assert tree.integer(9) is None
    assert tree.structs(9) == []
    with pytest.raises(ParquetInvalid, match="Field 1 should be an integer"):
        tree.integer(1)
    with pytest.raises(ParquetInvalid, match="Field 2 should be a list of structs"):
        tree.structs(2)
