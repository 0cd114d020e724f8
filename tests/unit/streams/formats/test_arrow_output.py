"""Arrow files that grow by messages are what Arrow itself would have written."""

import io

import pyarrow as pa
import pytest

from gristmill.errors import SinkError
from gristmill.streams.formats.arrow_layout import layout_of
from gristmill.streams.formats.arrow_output import ArrowOutput

BATCHES = [
    pa.record_batch({"a": [1, None], "b": ["x", "é"], "c": [[1.5], []]}),
    pa.record_batch(
        {"a": [3], "b": [None], "c": [None]},
        schema=pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.list_(pa.float64()))]),
    ),
]


def write(form, batches, layout):
    file = io.BytesIO()
    file.write(form.head(layout))
    encoder = form.recipe().column_encoder()
    for batch in batches:
        body, bad = encoder.encode([batch], layout)
        assert not bad
        for part in form.frame(body):
            file.write(part)
    length = file.tell()
    for part in form.tail(file, length):
        file.write(part)
    return file.getvalue()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_file_holds_its_batches_and_can_be_read_at_random(count):
    written = write(ArrowOutput(is_stream=False), BATCHES[:count], layout_of(BATCHES[0].schema))

    found = pa.ipc.open_file(pa.BufferReader(written))

    assert found.schema == BATCHES[0].schema
    assert [found.get_batch(index) for index in range(found.num_record_batches)] == BATCHES[:count]


@pytest.mark.parametrize("count", [0, 2])
def test_a_stream_holds_its_batches(count):
    written = write(ArrowOutput(is_stream=True), BATCHES[:count], layout_of(BATCHES[0].schema))

    found = pa.ipc.open_stream(pa.BufferReader(written))

    assert found.schema == BATCHES[0].schema
    assert list(found) == BATCHES[:count]


def test_a_file_that_was_cut_within_a_message_is_not_given_a_footer():
    form = ArrowOutput(is_stream=False)
    head = form.head(layout_of(BATCHES[0].schema))
    file = io.BytesIO(head + bytes(BATCHES[0].serialize())[:20])

    with pytest.raises(SinkError, match="cut off"):
        form.tail(file, len(file.getvalue()))
