"""Columns that are copied, beside columns that are encoded, are read back as what they were."""

import datetime as dt
import decimal
import io

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.arrow_layout import layout_of
from gristmill.streams.formats.parquet_chunks import ChunkTable, StoredColumn
from gristmill.streams.formats.parquet_footer import COLUMNS, ROW_GROUPS, TAIL, piece_footer_size
from gristmill.streams.formats.parquet_output import ParquetOutput
from gristmill.streams.formats.thrift_compact import decode, encode
from gristmill.streams.formats.thrift_tree import BINARY, STRUCT, Items, Struct
from gristmill.streams.sinks.protocol import CopyingEncoder

ROWS = 500
PLAIN = {
    "id": pa.array(range(ROWS), pa.int64()),
    "few": pa.array([f"v{number % 5}" for number in range(ROWS)]),
    "many": pa.array([None if number % 7 == 0 else f"text {number}" * 3 for number in range(ROWS)]),
    "real": pa.array([number / 3 for number in range(ROWS)]),
    "flag": pa.array([None if number % 11 == 0 else number % 3 == 0 for number in range(ROWS)]),
    "none": pa.nulls(ROWS, pa.int32()),
    "day": pa.array([dt.date(2020, 1, 1) + dt.timedelta(number) for number in range(ROWS)]),
    "at": pa.array([dt.datetime(2020, 1, 1) + dt.timedelta(seconds=number) for number in range(ROWS)]),  # noqa: DTZ001
    "utc": pa.array(range(ROWS), pa.timestamp("ms", "UTC")),
    "cost": pa.array([decimal.Decimal(number) / 100 for number in range(ROWS)], pa.decimal128(9, 2)),
    "raw": pa.array([bytes([number % 256]) for number in range(ROWS)], pa.binary()),
    "small": pa.array([number % 200 for number in range(ROWS)], pa.uint8()),
    "large": pa.array(["x"] * ROWS, pa.large_string()),
}
TABLE = pa.table(PLAIN)


def written(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def stored_in(file, group=0):
    size = piece_footer_size(file)

    def read(start, into):
        into[:] = file[start : start + len(into)]

    chunks = ChunkTable(file[-size:-TAIL], len(file) - size).copyable(group)
    return {name: StoredColumn(chunk=chunk, read=read) for name, chunk in chunks.items()}


def one_file(form, layout, bodies):
    file = io.BytesIO()
    file.write(form.head(layout))
    for body in bodies:
        for part in form.frame(body):
            file.write(part)
    for part in form.tail(file, file.tell()):
        file.write(part)
    return file.getvalue()


def copied(batch, stored, codec=None, layout=None):
    """The output of one chunk, or None if nothing was copied."""
    form = ParquetOutput(codec)
    encoder = form.recipe().column_encoder()
    assert isinstance(encoder, CopyingEncoder)
    layout = layout or layout_of(batch.schema)
    body = encoder.encode_copied([batch], layout, stored)
    return None if body is None else one_file(form, layout, [body])


def batch_of(table):
    return table.combine_chunks().to_batches()[0]


def codecs(file):
    group = pq.ParquetFile(io.BytesIO(file)).metadata.row_group(0)
    return {
        group.column(index).path_in_schema: group.column(index).compression
        for index in range(group.num_columns)
    }


WAYS = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "data_page_size": st.sampled_from([64, 1 << 20]),
        "write_batch_size": st.sampled_from([50, 1024]),
        "use_dictionary": st.booleans(),
        "write_statistics": st.booleans(),
        "write_page_index": st.booleans(),
    }
)
"""How a file can be written."""


@given(
    names=st.lists(st.sampled_from(sorted(PLAIN)), min_size=1, unique=True),
    touched=st.sets(st.sampled_from(sorted(PLAIN))),
    way=WAYS,
    rows=st.integers(1, ROWS),
)
@settings(max_examples=60, deadline=None)
def test_every_mix_of_copied_and_encoded_columns_is_read_back(names, touched, way, rows):
    table = TABLE.select(names).slice(0, rows)
    source = written(table, **way)
    stored = {name: column for name, column in stored_in(source).items() if name not in touched}

    file = copied(batch_of(table), stored)

    assert (file is None) == (not stored)
    if file is not None:
        assert pq.read_table(io.BytesIO(file)) == table
        assert {name for name, kind in codecs(file).items() if kind == codecs(source)[name]} >= stored.keys()


def test_a_copied_column_is_the_bytes_of_the_input(tmp_path):
    source = written(TABLE, compression="snappy")
    stored = stored_in(source)
    batch = batch_of(TABLE).append_column("new", pa.array(range(ROWS)))

    file = copied(batch, stored)

    assert stored.keys() == PLAIN.keys()
    for column in stored.values():
        assert source[column.chunk.start : column.chunk.start + column.chunk.size] in file
    assert codecs(file) == {**dict.fromkeys(PLAIN, "SNAPPY"), "new": "ZSTD"}


def test_other_readers_read_it(tmp_path):
    file = copied(batch_of(TABLE).append_column("new", pa.array(range(ROWS))), stored_in(written(TABLE)))
    (tmp_path / "out.parquet").write_bytes(file)
    sums = "count(*), sum(id), min(many), max(many), sum(new)"
    query = f"SELECT {sums} FROM '{tmp_path}/out.parquet' WHERE id >= 0"  # noqa: S608 - our own
    many = [value for value in PLAIN["many"].to_pylist() if value]
    total = sum(range(ROWS))
    assert duckdb.sql(query).fetchall() == [(ROWS, total, min(many), max(many), total)]


def test_what_duckdb_wrote_is_copied(tmp_path):
    path = tmp_path / "in.parquet"
    columns = "nullif(range, 3) AS id, 'x' || (range % 5) AS text, nullif(range / 3, 0) AS real"
    duckdb.sql(f"COPY (SELECT {columns} FROM range(9000)) TO '{path}' (FORMAT parquet)")  # noqa: S608 - our own
    table = pq.read_table(path)
    stored = stored_in(path.read_bytes())

    file = copied(batch_of(table), {name: column for name, column in stored.items() if name != "real"})

    assert stored.keys() == {"id", "text", "real"}
    assert pq.read_table(io.BytesIO(file)) == table


def test_statistics_are_kept_where_their_order_is_told():
    group = pq.ParquetFile(io.BytesIO(copied(batch_of(TABLE), stored_in(written(TABLE))))).metadata.row_group(
        0
    )
    assert (group.column(0).statistics.min, group.column(0).statistics.max) == (0, ROWS - 1)
    assert group.num_rows == ROWS
    assert group.total_byte_size == sum(
        group.column(index).total_uncompressed_size for index in range(group.num_columns)
    )


def test_bloom_filters_and_page_indexes_stay_behind():
    source = written(TABLE, write_page_index=True, bloom_filter_options={"id": True})
    column = (
        pq.ParquetFile(io.BytesIO(copied(batch_of(TABLE), stored_in(source)))).metadata.row_group(0).column(0)
    )
    assert not column.has_offset_index
    assert not column.has_column_index


def test_columns_of_another_codec_are_encoded_where_one_is_asked_for():
    stored = stored_in(
        written(TABLE, compression={"id": "gzip", **dict.fromkeys(PLAIN.keys() - {"id"}, "snappy")})
    )
    assert set(codecs(copied(batch_of(TABLE), stored, codec="gzip")).values()) == {"GZIP"}
    assert copied(batch_of(TABLE), stored, codec="zstd") is None


def test_a_column_of_another_type_than_the_output_is_encoded():
    narrow = pa.table({"id": pa.array(range(ROWS), pa.int32()), "few": PLAIN["few"]})
    layout = layout_of(pa.schema([("id", pa.int64()), ("few", pa.string())]))

    file = copied(batch_of(narrow), stored_in(written(narrow, compression="gzip")), layout=layout)

    assert codecs(file) == {"id": "ZSTD", "few": "GZIP"}
    assert pq.read_table(io.BytesIO(file)) == TABLE.select(["id", "few"])


@pytest.mark.parametrize("options", [{"use_deprecated_int96_timestamps": True}, {"coerce_timestamps": "ms"}])
def test_a_column_that_is_stored_as_another_type_is_encoded(options):
    source = written(TABLE.select(["at"]), **options)
    table = pq.read_table(io.BytesIO(source)).cast(pa.schema([("at", pa.timestamp("us"))]))
    assert copied(batch_of(table), stored_in(source)) is None


def test_a_column_that_may_not_be_null_is_encoded():
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False)])
    table = pa.table({"id": range(3)}, schema=schema)
    assert copied(batch_of(table), stored_in(written(table))) is None


def test_nested_columns_are_encoded_beside_copied_ones():
    table = TABLE.select(["id"]).append_column("list", pa.array([[number, None] for number in range(ROWS)]))
    table = table.append_column("deep", pa.array([{"x": {"y": number}, "z": "t"} for number in range(ROWS)]))
    stored = stored_in(written(table, compression="gzip"))

    file = copied(batch_of(table), stored)

    assert stored.keys() == {"id"}
    assert codecs(file)["id"] == "GZIP"
    assert pq.read_table(io.BytesIO(file)) == table


def test_a_column_takes_the_name_that_the_handler_gave_it():
    stored = stored_in(written(TABLE.select(["id", "few"]), compression="gzip"))
    batch = batch_of(TABLE.select(["few", "id"]).rename_columns(["id", "größe.x"]))

    file = copied(batch, {"id": stored["few"], "größe.x": stored["id"]})

    assert set(codecs(file).values()) == {"GZIP"}
    assert pq.read_table(io.BytesIO(file)) == pa.Table.from_batches([batch])


def test_nothing_is_copied_where_a_row_does_not_fit():
    layout = layout_of(pa.schema([("id", pa.int64()), ("few", pa.int64())]))
    assert copied(batch_of(TABLE.select(["id", "few"])), stored_in(written(TABLE)), layout=layout) is None


def test_a_column_that_is_missing_in_the_result_is_null():
    layout = layout_of(pa.schema([("id", pa.int64()), ("gone", pa.string())]))
    stored = stored_in(written(TABLE))
    file = copied(batch_of(TABLE.select(["id"])), {"id": stored["id"]}, layout=layout)
    assert pq.read_table(io.BytesIO(file))["gone"].null_count == ROWS


@pytest.mark.parametrize(
    "writer",
    [b"parquet-mr version 1.8.1 (build x)", b"someone version 9", b"parquet-cpp-arrow version 3.0.0"],
)
def test_nothing_is_copied_of_a_writer_that_is_not_known_to_be_right(writer):
    source = written(TABLE)
    name = b"parquet-cpp-arrow version " + pa.__version__.encode()
    assert stored_in(source)
    assert source.count(name) == 1
    assert stored_in(source.replace(name, writer.ljust(len(name))[: len(name)])) == {}


@pytest.mark.parametrize(
    "writer", [b"parquet-mr version 1.13.1 (build", b"DuckDB", b"parquet-rs version 53.0.0"]
)
def test_known_writers_are_copied_from(writer):
    source = written(TABLE)
    name = b"parquet-cpp-arrow version " + pa.__version__.encode()
    assert stored_in(source.replace(name, writer.ljust(len(name))[: len(name)])).keys() == PLAIN.keys()


def test_encrypted_columns_and_columns_in_other_files_are_refused():
    source = written(TABLE.select(["id"]))
    size = piece_footer_size(source)
    tree = decode(source[-size:-TAIL])
    (group,) = tree.structs(ROW_GROUPS)
    (chunk,) = group.structs(COLUMNS)
    for field, value in ((1, b"other.parquet"), (9, b"secret")):
        fields = dict(sorted({**chunk.fields, field: (BINARY, value)}.items()))
        group.replace(COLUMNS, Items(STRUCT, [Struct(fields)]))
        with pytest.raises(ParquetInvalid, match=r"other files|encrypted"):
            ChunkTable(encode(tree), len(source) - size).copyable(0)


def test_a_chunk_that_would_lie_outside_of_its_file_is_refused():
    source = written(TABLE.select(["id"]))
    size = piece_footer_size(source)
    with pytest.raises(ParquetInvalid, match="damaged"):
        ChunkTable(source[-size:-TAIL], 100).copyable(0)
