"""Columns, and rows, as batches of one schema that a table format writes."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import pyarrow as pa

from gristmill.codec import pydantic_models
from gristmill.codec.results import encode_hook
from gristmill.streams.formats.annotated_types import fields_of
from gristmill.streams.formats.arrow_layout import fit, layout_of, schema_of
from gristmill.streams.formats.column_casts import misfits
from gristmill.streams.formats.column_text import surplus
from gristmill.streams.formats.csv_writing import usable
from gristmill.streams.formats.exact_values import falls_short, is_cut, may_cut, widest_decimal
from gristmill.streams.sinks.protocol import Encoded
from gristmill.streams.sources.protocol import taken

_NATIVE = (
    bytes, bytearray, dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal,
)  # fmt: skip
"""What Arrow takes as it is, and JSON does not."""


class Format(Protocol):
    """Encodes batches as a table format wants them."""

    def __call__(self, batch: Any) -> Encoded:
        """Return *batch* encoded."""


class TableColumnEncoder:
    """Encodes columns; those of the first batch are the output's.

    Args:
        write: Encodes one batch.
    """

    wants_text = False

    def __init__(self, write: Format) -> None:
        self._write = write

    def layout(self, batch: Any) -> bytes | None:
        """Return the schema of *batch*."""
        return layout_of(batch.schema)

    def encode(self, batches: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return all that fits the schema, as one batch."""
        schema = schema_of(layout)
        fitting: list[Any] = []
        bad: dict[int, str] = {}
        at = 0
        for batch in batches:
            found, unfit = fit(batch, schema)
            fitting.append(found)
            bad.update({at + index: why for index, why in unfit.items()})
            at += batch.num_rows
        fitting = [batch for batch in fitting if batch.num_rows]
        if not fitting:
            return b"", bad
        return self._write(fitting[0] if len(fitting) == 1 else pa.concat_batches(fitting)), bad


class TableRowEncoder:
    """Encodes rows; their columns are those of the result type, or of the first chunk where it does not say.

    Args:
        write: Encodes one batch.
        result_type: Of the handler.
        given: The columns of the input with their types, as a layout; None if it has none.
    """

    def __init__(self, write: Format, result_type: Any, given: bytes | None = None) -> None:
        self._write = write
        self._known = fields_of(result_type)
        self._given = {field.name: field.type for field in schema_of(given)}

    @property
    def is_joinable(self) -> bool:
        """Two tables are not one."""
        return False

    def layout(self, results: Sequence[Any]) -> bytes | None:
        """Return the schema, whose types are the annotated ones, or else those of *results*."""
        rows = usable(_as_rows, results)
        names: dict[str, None] = dict.fromkeys(self._known or ())
        if self._known is None:
            for row in rows:
                names.update(dict.fromkeys(row))
        if not names or (not rows and (self._known is None or None in self._known.values())):
            return None
        known = self._known or {}
        return layout_of(
            pa.schema(
                [
                    (name, known.get(name) or type_of([row.get(name) for row in rows], self._given.get(name)))
                    for name in names
                ]
            )
        )

    def encode(self, results: Sequence[Any], layout: bytes | None) -> tuple[Encoded, Mapping[int, str]]:
        """Return what fits the schema; a row with a value or column that does not is left out."""
        if not results:
            return b"", {}
        if layout is None:
            return b"", dict.fromkeys(range(len(results)), "the result has no columns")
        schema = schema_of(layout)
        known = set(schema.names)
        rows, bad = _rows_of(results)
        bad.update(
            (index, surplus(list(row), schema.names) or "")
            for index, row in enumerate(rows)
            if not row.keys() <= known
        )
        arrays: list[Any] = []
        for field in schema:
            array, unfit = array_of([row.get(field.name) for row in rows], field.type)
            arrays.append(array)
            for index, value in unfit.items():
                bad.setdefault(index, f"column {field.name}: {value!r} is not {field.type}")
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        if bad:
            batch = taken(batch, [index for index in range(len(rows)) if index not in bad])
        return (self._write(batch) if batch.num_rows else b""), bad


def as_row(result: Any) -> dict[str, Any]:
    """Return *result* as a dict; a scalar as ``{"value": ...}``."""
    if type(result) is dict:
        return result
    plain = msgspec.to_builtins(result, enc_hook=_typed, builtin_types=_NATIVE)
    return plain if isinstance(plain, dict) else {"value": plain}


def _typed(value: Any) -> Any:
    """Return builtins for what msgspec does not know; times and decimals stay what they are."""
    if pydantic_models.is_model(type(value)):
        return value.model_dump(by_alias=True)
    return encode_hook(value)


def _as_rows(results: Sequence[Any]) -> list[dict[str, Any]]:
    return [as_row(each) for each in results]


def _rows_of(results: Sequence[Any]) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """Return *results* as dicts, and why some cannot be that; those are empty ones."""
    try:
        return _as_rows(results), {}
    except Exception:  # noqa: BLE001 - whatever it was, it is said of the result it is about
        rows: list[dict[str, Any]] = []
        bad: dict[int, str] = {}
        for index, each in enumerate(results):
            try:
                rows.append(as_row(each))
            except Exception as error:  # noqa: BLE001 - as above
                rows.append({})
                bad[index] = f"the result is no row: {type(error).__name__}: {error}"
        return rows, bad


def array_of(values: list[Any], kind: Any) -> tuple[Any, dict[int, Any]]:
    """Return *values* as an array, and those that do not fit whole, null in it."""
    try:
        return _array_of_whole(values, kind), {}
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    plain = [_plain(value) for value in values]
    unfit = {}
    for index in _unfit(plain, kind):
        unfit[index] = values[index]
        plain[index] = None
    return pa.array(plain, kind), unfit


def _array_of_whole(values: list[Any], kind: Any) -> Any:
    found = pa.array(values, kind)
    if may_cut(kind) and any(is_cut(value, kind) for value in values):
        raise pa.ArrowInvalid(f"a value loses a part as {kind}")
    return found


def _unfit(values: list[Any], kind: Any) -> list[int]:
    def convert(part: Any) -> Any:
        try:
            return _array_of_whole(part.to_pylist(), kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise pa.ArrowInvalid(str(error)) from error

    return misfits(_Listed(values, 0, len(values)), convert)


class _Listed:
    """A list that is sliced as an array is."""

    def __init__(self, values: list[Any], start: int, stop: int) -> None:
        self._values, self._start, self._stop = values, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def slice(self, start: int, length: int) -> _Listed:
        return _Listed(self._values, self._start + start, self._start + start + length)

    def to_pylist(self) -> list[Any]:
        return self._values[self._start : self._stop]


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool | bytes):
        return value
    try:
        return msgspec.to_builtins(value, enc_hook=_typed, builtin_types=_NATIVE)
    except (TypeError, ValueError):
        return value


def type_of(values: list[Any], given: Any = None) -> Any:
    """Return the type of *values*, decimals as wide as can be; text where they have none in common.

    Args:
        values: Any.
        given: The type of the input's column of that name, for values that do not tell all: null alone, empty
            lists, whole numbers of which later ones may be larger. None: it has no such column, or no types.
    """
    kind = _inferred(values)
    if kind is None or isinstance(kind, pa.BaseExtensionType):
        kind = _inferred([_plain(value) for value in values])
    if given is not None and falls_short(kind, given) and not array_of(values, given)[1]:
        return given
    if kind is None:
        return pa.string()
    return widest_decimal(kind) if pa.types.is_decimal(kind) else kind


def _inferred(values: list[Any]) -> Any:
    try:
        return pa.array(values).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
