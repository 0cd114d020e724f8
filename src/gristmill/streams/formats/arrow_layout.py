"""The columns of tables that are written: decided once, and every later batch made to fit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.errors import SourceError
from gristmill.streams.formats.column_casts import misfits, without
from gristmill.streams.formats.column_text import surplus
from gristmill.streams.formats.exact_values import cast_whole
from gristmill.streams.sources.protocol import taken


def layout_of(schema: Any) -> bytes:
    """Return *schema* as a layout: no metadata, dictionaries as their values, columns of nulls as text."""
    fields = [pa.field(field.name, _written(field.type)) for field in schema]
    encoded: bytes = pa.schema(fields).serialize().to_pybytes()
    return encoded


def _written(kind: Any) -> Any:
    if pa.types.is_null(kind):
        return pa.string()
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def schema_of(layout: bytes | None) -> Any:
    """Return the schema that *layout* stands for; names alone, as an empty run has them, are of text."""
    if layout is None:
        return pa.schema([])
    if layout.startswith(b"["):
        return pa.schema([(name, pa.string()) for name in msgspec.json.decode(layout, type=list[str])])
    return pa.ipc.read_schema(pa.BufferReader(layout))


def fit(batch: Any, schema: Any) -> tuple[Any, dict[int, str]]:
    """Return *batch* with the columns of *schema*, without the rows that do not fit; index -> why of those.

    A column that is missing is null; one that *schema* has not spoils all rows.
    Values are cast where nothing of them is lost.
    """
    if batch.schema.equals(schema):
        return batch, {}
    names = batch.schema.names
    if why := surplus(names, schema.names):
        return batch.slice(0, 0), dict.fromkeys(range(batch.num_rows), why)
    arrays: list[Any] = []
    bad: dict[int, str] = {}
    for field in schema:
        if field.name not in names:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        array, unfit = cast_safely(batch.column(field.name), field.type)
        arrays.append(array)
        for index in unfit:
            why = f"column {field.name}: {batch.column(field.name)[index].as_py()!r} is not {field.type}"
            bad.setdefault(index, why)
    found = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if bad:
        found = taken(found, [index for index in range(batch.num_rows) if index not in bad])
    return found, bad


def cast_safely(array: Any, kind: Any) -> tuple[Any, list[int]]:
    """Return *array* as *kind*, and the indices of values that cannot be that whole, null in it."""
    if array.type.equals(kind):
        return array, []
    if pa.types.is_dictionary(array.type):
        return cast_safely(array.dictionary_decode(), kind)
    try:
        return cast_whole(array, kind), []
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        unfit = misfits(array, lambda part: cast_whole(part, kind))
    kept = without(array, unfit)
    return (pa.nulls(len(array), kind) if kept.null_count == len(kept) else pc.cast(kept, kind)), unfit


def join_schemas(schemas: Sequence[bytes], paths: Sequence[str]) -> tuple[bytes, Sequence[str]]:
    """Return the one schema, and its names, that files of *schemas* are read with, by name.

    Raises:
        SourceError: They have other columns, or types that do not go into one without loss.
    """
    read = [pa.ipc.read_schema(pa.BufferReader(each)) for each in schemas]
    first = read[0]
    if twice := sorted({name for name in first.names if first.names.count(name) > 1}):
        raise SourceError(f"{paths[0]} has two columns called {twice[0]}; name its columns apart")
    joint: dict[str, Any] = {field.name: field.type for field in first}
    for schema, path in zip(read[1:], paths[1:], strict=True):
        if missing := sorted(set(first.names) ^ set(schema.names)):
            raise SourceError(
                f"{path} and {paths[0]} differ in the column {missing[0]}; select the columns that all have "
                "with --select, or run them one by one"
            )
        for field in schema:
            wider = _wider(joint[field.name], field.type)
            if wider is None:
                raise SourceError(
                    f"the column {field.name} is {field.type} in {path} and {joint[field.name]} before; "
                    "run them one by one"
                )
            joint[field.name] = wider
    found = pa.schema(list(joint.items()))
    return found.serialize().to_pybytes(), found.names


def _wider(one: Any, other: Any) -> Any:
    """Return the type that holds all of both; None if there is none."""
    if one.equals(other):
        return one
    if pa.types.is_null(one) or pa.types.is_null(other):
        return other if pa.types.is_null(one) else one
    same_kind = (
        (pa.types.is_signed_integer(one) and pa.types.is_signed_integer(other))
        or (pa.types.is_unsigned_integer(one) and pa.types.is_unsigned_integer(other))
        or (pa.types.is_floating(one) and pa.types.is_floating(other))
    )
    if same_kind:
        return max(one, other, key=lambda kind: kind.bit_width)
    texts = [pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in (one, other)]
    return pa.large_string() if all(texts) else None


def selected(batch: Any, schema: Any, select: Mapping[str, str]) -> Any:
    """Return the columns of *batch* that *select* names, with their new names and the types of *schema*."""
    arrays = []
    for name in select:
        array, kind = batch.column(name), schema.field(name).type
        arrays.append(array if array.type.equals(kind) else pc.cast(array, kind))
    return pa.RecordBatch.from_arrays(arrays, names=list(select.values()))
