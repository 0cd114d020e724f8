"""Files of tables are cut into ranges of rows that cover them, along their blocks where that fits."""

import os
from itertools import pairwise

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import ConfigurationError, SourceChanged, SourceError
from gristmill.streams.checkpoint import Checkpoint, Range
from gristmill.streams.formats.arrow_layout import join_schemas
from gristmill.streams.sources.arrow_file import ArrowForm
from gristmill.streams.sources.parquet_file import ParquetForm
from gristmill.streams.sources.protocol import whole
from gristmill.streams.sources.table_files import Block, TableFiles, WholeBlocks, ranges

TABLE = pa.table({"a": list(range(100)), "b": [f"row {number}" for number in range(100)]})


class _Row(msgspec.Struct):
    a: int


def parquet(path, table=TABLE, group=30):
    pq.write_table(table, path, row_group_size=group)
    return str(path)


def arrow(path, table=TABLE):
    with pa.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=30)
    return str(path)


def stream(path, table=TABLE):
    with pa.ipc.new_stream(path, table.schema) as file:
        file.write_table(table, max_chunksize=30)
    return str(path)


def opened(paths, form=None, select=None):
    source = TableFiles(paths, form or ParquetForm(), select=select, join=join_schemas)
    source.open()
    return source


@given(
    blocks=st.lists(
        st.builds(Block, rows=st.integers(1, 50), size=st.integers(1, 5000)), min_size=1, max_size=8
    ),
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=5),
    data=st.data(),
)
def test_ranges_lie_end_to_end(blocks, sizes, data):
    total = sum(block.rows for block in blocks)
    start = data.draw(st.integers(0, total - 1))
    stop = data.draw(st.integers(start + 1, total))
    turn = iter(sizes * total)

    found = [(first, end) for first, end, _ in ranges(blocks, start, stop, lambda: next(turn))]

    assert [found[0][0], found[-1][1]] == [start, stop]
    assert all(before[1] == after[0] for before, after in pairwise(found))
    assert all(first < end for first, end in found)


def test_whole_blocks_are_taken_where_they_fit():
    blocks = [Block(rows=10, size=100)] * 4

    assert [found[:2] for found in ranges(blocks, 0, 40, lambda: 1600)] == [(0, 20), (20, 40)]


def test_a_block_that_is_somewhat_too_large_is_read_whole_and_alone():
    blocks = [Block(rows=100, size=1000), Block(rows=1, size=1)]

    assert [found[:2] for found in ranges(blocks, 0, 101, lambda: 500)] == [(0, 100), (100, 101)]


def test_a_block_that_is_far_too_large_is_read_in_parts():
    found = [found[:2] for found in ranges([Block(rows=100, size=1000)], 0, 100, lambda: 400)]

    assert found[0] == (0, 10)


@pytest.mark.parametrize(
    ("write", "form"), [(parquet, ParquetForm()), (arrow, ArrowForm()), (stream, ArrowForm())]
)
@pytest.mark.parametrize("size", [1, 300, 1 << 20])
def test_chunks_hold_all_rows_once_and_in_order(tmp_path, write, form, size):
    source = opened([write(tmp_path / "one"), write(tmp_path / "two")], form)
    reader = source.recipe().columns()
    chunks = list(source.plan(Checkpoint(), lambda: size))

    found = [row for chunk in chunks for row in reader.read(chunk).batch.to_pylist()]

    assert found == TABLE.to_pylist() * 2
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert sum(chunk.weight for chunk in chunks) == source.total
    assert [chunk.source for chunk in chunks if chunk.is_last] == [0, 1]


def test_what_is_done_is_not_planned_again(tmp_path):
    source = opened([parquet(tmp_path / "one")])
    done = Checkpoint(next=5, offset=20, beyond=(Range(0, 40, 100, True),))

    chunks = list(source.plan(done, lambda: 1 << 20))

    assert [(chunk.start, chunk.end) for chunk in chunks] in ([(20, 30), (30, 40)], [(20, 40)])
    assert chunks[0].number == 5
    assert 0 < source.weight(done) < source.total


def test_a_file_without_rows_has_one_empty_chunk(tmp_path):
    source = opened([parquet(tmp_path / "one", TABLE.slice(0, 0))])

    (chunk,) = source.plan(Checkpoint(), lambda: 1)

    assert (chunk.start, chunk.end, chunk.is_last) == (0, 0, True)
    assert source.recipe().columns().read(chunk).batch.schema == TABLE.schema


def test_columns_are_selected_and_renamed(tmp_path):
    source = opened([parquet(tmp_path / "one")], select={"b": "text"})
    (chunk, *_) = source.plan(Checkpoint(), lambda: 1 << 20)

    assert source.columns == ["text"]
    assert whole(source.recipe().rows(dict).read(chunk, 100)).items[0] == {"text": "row 0"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "one.parquet")
    with pytest.raises(SourceError, match="is no regular file; give the name of a file"):
        opened([str(tmp_path / "one.parquet")])


def test_a_column_that_is_not_there_cannot_be_selected(tmp_path):
    with pytest.raises(ConfigurationError, match="no column 'z'; there is 'a', 'b'"):
        opened([parquet(tmp_path / "one")], select={"z": "z"})


def test_rows_become_what_the_handler_takes_and_those_that_cannot_fail(tmp_path):
    table = pa.table({"a": [1, None]})
    source = opened([parquet(tmp_path / "one", table)])
    (chunk,) = source.plan(Checkpoint(), lambda: 1 << 20)

    found = whole(source.recipe().rows(dict[str, int]).read(chunk, 100))

    assert found.total == 2
    typed = whole(source.recipe().rows(_Row).read(chunk, 100))
    assert (typed.items, list(typed.bad)) == ([_Row(1)], [1])
    assert typed.places()[1].start == 1


def test_a_file_that_changes_under_way_stops_the_run(tmp_path):
    source = opened([parquet(tmp_path / "one")])
    (chunk, *_) = source.plan(Checkpoint(), lambda: 1 << 20)
    reader = source.recipe().columns()
    parquet(tmp_path / "one", TABLE.slice(1))

    with pytest.raises(SourceChanged, match="was changed"):
        reader.read(chunk)


@pytest.mark.parametrize("form", [ParquetForm(), ArrowForm()])
def test_a_file_of_another_format_is_refused(tmp_path, form):
    (tmp_path / "one").write_text("no table")

    with pytest.raises(SourceError, match="that can be read"):
        opened([str(tmp_path / "one")], form)


def test_pipes_and_folders_are_refused(tmp_path):
    with pytest.raises(SourceError, match="name of a file"):
        opened(["-"])
    with pytest.raises(SourceError, match="is a folder"):
        opened([str(tmp_path)])


WHOLE = WholeBlocks(rows=1000, smallest=500, largest=5000)


@given(
    blocks=st.lists(
        st.builds(Block, rows=st.integers(1, 1500), size=st.integers(1, 7000)), min_size=1, max_size=8
    ),
    sizes=st.lists(st.integers(1000, 9000), min_size=1, max_size=5),
    data=st.data(),
)
def test_blocks_to_copy_are_ranges_of_their_own_wherever_a_run_begins(blocks, sizes, data):
    ends = [sum(block.rows for block in blocks[: index + 1]) for index in range(len(blocks))]
    start = data.draw(st.integers(0, ends[-1] - 1))
    turn = iter(sizes * ends[-1])

    found = [span[:2] for span in ranges(blocks, start, ends[-1], lambda: next(turn), WHOLE)]

    assert [found[0][0], found[-1][1]] == [start, ends[-1]]
    assert all(before[1] == after[0] for before, after in pairwise(found))
    for block, end in zip(blocks, ends, strict=True):
        if WHOLE.has(block) and end - block.rows >= start:
            assert (end - block.rows, end) in found


def test_a_block_to_copy_is_read_in_parts_where_the_handler_is_very_slow():
    found = [span[:2] for span in ranges([Block(rows=1000, size=5000)], 0, 1000, lambda: 20, WHOLE)]

    assert len(found) > 100


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Block(rows=1000, size=500), True),
        (Block(rows=1001, size=500), False),
        (Block(rows=1000, size=499), False),
        (Block(rows=1000, size=5001), False),
        (Block(rows=0, size=500), False),
    ],
)
def test_small_and_huge_blocks_are_not_copied(block, expected):
    assert WHOLE.has(block) == expected


def copying(paths, select=None):
    source = opened(paths, select=select)
    source.keep_whole(WholeBlocks(rows=1000, smallest=1))
    return source, source.recipe().columns()


def test_a_chunk_that_is_a_row_group_tells_where_its_columns_are_stored(tmp_path):
    path = parquet(tmp_path / "one")
    source, reader = copying([path], {"b": "text", "a": "a"})

    for index, chunk in enumerate(source.plan(Checkpoint(), lambda: 1 << 20)):
        stored = reader.read(chunk).stored
        group = pq.ParquetFile(path).metadata.row_group(index)
        assert stored.keys() == {"text", "a"}
        size = stored["text"].chunk.size
        assert size == group.column(1).total_compressed_size
        into = bytearray(size)
        stored["text"].read(stored["text"].chunk.start, memoryview(into))
        assert bytes(into) in (tmp_path / "one").read_bytes()


def test_chunks_that_are_no_row_group_have_no_stored_columns(tmp_path):
    source, reader = copying([parquet(tmp_path / "one")])
    (chunk, *_) = source.plan(Checkpoint(offset=10), lambda: 1 << 20)

    assert (chunk.start, chunk.end) == (10, 30)
    assert reader.read(chunk).stored == {}


def test_rows_that_are_left_out_leave_nothing_stored(tmp_path):
    source, reader = copying([parquet(tmp_path / "one")])
    (chunk, *_) = source.plan(Checkpoint(), lambda: 1 << 20)

    assert reader.read(chunk).first(29).stored == {}
    assert reader.read(chunk).chosen(list(range(1, 30))).stored == {}


def test_a_column_that_is_cast_as_it_is_read_is_not_copied(tmp_path):
    narrow = pa.table({"a": pa.array(range(100), pa.int32()), "b": TABLE["b"]})
    source, reader = copying([parquet(tmp_path / "one", narrow), parquet(tmp_path / "two")])
    stored = [reader.read(chunk).stored.keys() for chunk in source.plan(Checkpoint(), lambda: 1 << 20)]

    assert stored == [{"b"}] * 4 + [{"a", "b"}] * 4


def test_a_file_that_changes_before_a_column_is_copied_stops_the_run(tmp_path):
    source, reader = copying([parquet(tmp_path / "one")])
    (chunk, *_) = source.plan(Checkpoint(), lambda: 1 << 20)
    column = reader.read(chunk).stored["a"]
    parquet(tmp_path / "one", TABLE.slice(1))

    with pytest.raises(SourceChanged, match="was changed"):
        column.read(column.chunk.start, memoryview(bytearray(column.chunk.size)))
