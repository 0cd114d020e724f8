"""Parquet pieces, appended and given one footer, are one file."""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.streams.formats.arrow_layout import layout_of
from gristmill.streams.formats.parquet_output import ParquetOutput, WriteParquet


def write(batches, layout):
    form = ParquetOutput("zstd")
    file = io.BytesIO()
    file.write(form.head(layout))
    encoder = form.recipe().column_encoder()
    for batch in batches:
        body, _ = encoder.encode([batch], layout)
        for part in form.frame(body):
            file.write(part)
    for part in form.tail(file, file.tell()):
        file.write(part)
    return file.getvalue()


def test_each_batch_is_a_row_group():
    batches = [pa.record_batch({"a": [1, 2], "b": ["x", None]}), pa.record_batch({"a": [3], "b": ["z"]})]

    found = pq.ParquetFile(io.BytesIO(write(batches, layout_of(batches[0].schema))))

    assert found.read().to_batches() == batches or found.read().equals(pa.Table.from_batches(batches))
    assert found.num_row_groups == 2


def test_no_batch_leaves_a_file_with_the_columns_and_no_row():
    found = pq.read_table(io.BytesIO(write([], b'["a","b"]')))

    assert (found.schema, found.num_rows) == (pa.schema([("a", pa.string()), ("b", pa.string())]), 0)


def test_columns_that_repeat_themselves_have_a_dictionary_and_others_do_not():
    batch = pa.record_batch({"few": ["x", "y"] * 500, "many": list(range(1000))})

    group = pq.ParquetFile(io.BytesIO(bytes(WriteParquet("snappy")(batch)))).metadata.row_group(0)

    assert [group.column(index).has_dictionary_page for index in (0, 1)] == [True, False]
