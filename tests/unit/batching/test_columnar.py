"""Columnar handlers: told by their annotation, called with columns by pipelines, with dicts by others."""

import asyncio

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gristmill import Failed, Ok, batch
from gristmill.batching.columnar import checked, without_failed
from gristmill.errors import ReplyMismatch


@batch
def doubled(rows: pa.RecordBatch) -> pa.RecordBatch:
    return rows.append_column("twice", pc.multiply(rows["x"], 2))


def test_a_record_batch_as_first_parameter_makes_a_handler_columnar():
    @batch
    def listed(items: list[int]) -> list[int]:
        return items

    assert doubled.is_columnar
    assert not listed.is_columnar


@pytest.mark.parametrize("text", ["pa.RecordBatch", "pyarrow.RecordBatch", "'pa.RecordBatch'"])
def test_the_annotation_may_be_text_that_names_what_only_type_checkers_import(text):
    scope: dict[str, object] = {}
    exec(f"def handler(rows: {text!r}): return rows", scope)  # noqa: S102 - a function without pyarrow in its globals

    assert batch(scope["handler"]).is_columnar


async def test_called_with_single_items_it_gets_one_batch_and_each_caller_a_row():
    assert await asyncio.gather(doubled({"x": 1}), doubled({"x": 5})) == [
        {"x": 1, "twice": 2},
        {"x": 5, "twice": 10},
    ]


async def test_a_key_that_one_item_lacks_is_null():
    @batch
    def same(rows: pa.RecordBatch) -> pa.RecordBatch:
        return rows

    assert await same.many([{"x": 1}, {"y": "a"}]) == [{"x": 1, "y": None}, {"x": None, "y": "a"}]


async def test_the_column_error_fails_the_rows_where_it_is_set():
    @batch
    def strict(rows: pa.RecordBatch) -> pa.RecordBatch:
        is_odd = pc.equal(pc.bit_wise_and(rows["x"], 1), 1)
        return rows.append_column("_error", pc.if_else(is_odd, "odd", None)).append_column(
            "_code", pa.array(["odd_number"] * rows.num_rows)
        )

    found = await strict.outcomes([{"x": 1}, {"x": 2}])

    assert found == [Failed("odd", "odd_number"), Ok({"x": 2})]


async def test_items_that_are_no_dicts_are_refused():
    with pytest.raises(ReplyMismatch, match="dicts"):
        await doubled(3)


async def test_an_async_columnar_handler_with_a_context_works_too():
    @batch
    async def named(rows: pa.RecordBatch, ctx) -> pa.Table:
        return pa.table({"name": [ctx.name] * rows.num_rows})

    assert await named({"x": 1}) == {"name": "named"}


def test_a_reply_of_other_rows_is_refused():
    with pytest.raises(ReplyMismatch, match="returned 1 rows for 2"):
        checked("f", pa.record_batch({"x": [1]}), 2)


def test_a_reply_that_is_no_columns_is_refused():
    with pytest.raises(ReplyMismatch, match="returned list"):
        checked("f", [1], 1)


def test_a_reply_with_two_columns_of_one_name_is_refused():
    reply = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])

    with pytest.raises(ReplyMismatch, match="two columns"):
        checked("f", reply, 1)


def test_a_table_of_several_chunks_becomes_one_batch():
    table = pa.concat_tables([pa.table({"x": [1, 2]}), pa.table({"x": [3]})])

    assert checked("f", table, 3).equals(pa.record_batch({"x": [1, 2, 3]}))


def test_a_column_error_without_any_error_is_only_left_out():
    reply = pa.record_batch({"x": [1], "_error": pa.array([None], pa.string())})

    assert without_failed(reply) == (pa.record_batch({"x": [1]}), {})
