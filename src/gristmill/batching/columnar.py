"""Columnar handlers: their reply checked, their rows as dicts for callers that have no columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gristmill.batching.context import BatchContext
from gristmill.batching.runner import Call
from gristmill.errors import ConfigurationError, ReplyMismatch
from gristmill.model.outcome import Failed

ERROR, CODE = "_error", "_code"
"""The columns with which a columnar handler fails single rows."""
_CODE = "failed"


def arrow() -> Any:
    """Return the module ``pyarrow``.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise ConfigurationError("columns need pyarrow: install gristmill[streams]") from error
    return pa


class ColumnarCall(Call):
    """Calls a columnar handler with items that are dicts, and gives dicts back."""

    __slots__ = ()

    async def __call__(self, items: list[Any], context: BatchContext | None) -> Any:
        """Return one dict for each item, ``Failed`` where the reply says so."""
        batch = batch_of(self.name, items)
        reply = await super().__call__(batch, context)
        found, failed = without_failed(checked(self.name, reply, batch.num_rows))
        rows: list[Any] = found.to_pylist()
        if failed:
            good = iter(rows)
            rows = [failed.get(index) or next(good) for index in range(batch.num_rows)]
        return rows


def batch_of(name: str, items: list[Any]) -> Any:
    """Return *items* as a ``RecordBatch`` with the columns of all of them; a key that is missing is null.

    Raises:
        ReplyMismatch: They are not dicts, or the values of one key are of several types.
    """
    pyarrow = arrow()
    if not all(isinstance(item, Mapping) for item in items):
        raise ReplyMismatch(f"{name} takes columns: its items are to be dicts, one entry for each column")
    keys: dict[str, None] = {}
    for item in items:
        keys.update(dict.fromkeys(item))
    try:
        columns = {key: pyarrow.array([item.get(key) for item in items]) for key in keys}
        return pyarrow.record_batch(columns) if columns else rows_only(len(items))
    except pyarrow.ArrowException as error:
        raise ReplyMismatch(
            f"{name} takes columns, and the items of this batch make none: {error}"
        ) from error


def rows_only(count: int) -> Any:
    """Return a ``RecordBatch`` of *count* rows and no columns."""
    pyarrow = arrow()
    structs = pyarrow.array([{}] * count, pyarrow.struct([]))
    return pyarrow.RecordBatch.from_struct_array(structs)


def checked(name: str, reply: Any, rows: int) -> Any:
    """Return what a columnar handler replied as one ``RecordBatch``.

    Args:
        name: The handler's.
        reply: A ``RecordBatch`` or ``Table``.
        rows: How many it must have.

    Raises:
        ReplyMismatch: It is neither, has other rows, or two columns of one name.
    """
    pyarrow = arrow()
    if isinstance(reply, pyarrow.Table):
        reply = _joined(reply)
    if not isinstance(reply, pyarrow.RecordBatch):
        raise ReplyMismatch(
            f"{name} returned {type(reply).__name__}; a RecordBatch or Table of {rows} rows is expected"
        )
    if reply.num_rows != rows:
        raise ReplyMismatch(
            f"{name} returned {reply.num_rows} rows for {rows}; return a row for each, with a text in the "
            f"column {ERROR} where one fails"
        )
    names = reply.schema.names
    if len(set(names)) < len(names):
        raise ReplyMismatch(f"{name} returned two columns of one name: {', '.join(names)}")
    return reply


def _joined(table: Any) -> Any:
    pyarrow = arrow()
    columns = [
        column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns
    ]
    if not columns:
        return rows_only(table.num_rows)
    flat = [each.combine_chunks() if isinstance(each, pyarrow.ChunkedArray) else each for each in columns]
    return pyarrow.RecordBatch.from_arrays(flat, schema=table.schema)


def without_failed(batch: Any) -> tuple[Any, dict[int, Failed]]:
    """Return *batch* without the rows that ``_error`` fails and that column, and index -> why they failed."""
    names = batch.schema.names
    if ERROR not in names:
        return batch, {}
    errors = batch.column(ERROR)
    codes = batch.column(CODE) if CODE in names else None
    kept = batch.select([name for name in names if name not in (ERROR, CODE)])
    if errors.null_count == len(errors):
        return kept, {}
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    failed: dict[int, Failed] = {}
    for index in pc.indices_nonzero(errors.is_valid()).to_pylist():
        code = None if codes is None else codes[index].as_py()
        failed[index] = Failed(str(errors[index].as_py()), str(code) if code else _CODE)
    return kept.filter(errors.is_null()), failed
