"""JSON lines as columns: the fields of samples, once found, are the columns of all chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pyarrow as pa

from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.json_lines import parse_lines
from gristmill.streams.formats.ndjson_form import LineRecipe
from gristmill.streams.formats.selection import chosen
from gristmill.streams.formats.table_encoding import array_of, type_of
from gristmill.streams.sources.protocol import BadRow, Columns, Place, whole

_OBJECT = msgspec.json.Decoder(dict[str, Any])


def infer_schema(
    texts: Iterable[bytes], select: Mapping[str, str] | None, rename: Mapping[str, str] | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return the schema of the lines of *texts*, serialized, and its types for people.

    A field whose values are of several types, or null alone, is text: its
    values that are no strings are kept as their JSON.
    """
    rows = [row for text in texts for row in parse_lines(text, _OBJECT.decode).rows]
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    wanted = chosen(names, None, rename if names else None) if select is None else select
    fields = []
    for name, new in wanted.items():
        kind = type_of([row.get(name) for row in rows])
        fields.append(pa.field(new, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields).serialize().to_pybytes(), {field.name: str(field.type) for field in fields}


@dataclass(frozen=True, slots=True)
class LineColumnRecipe:
    """Makes readers of JSON lines, of columns too.

    Attributes:
        inner: Makes readers of rows.
        schema: The columns, serialized.
    """

    inner: LineRecipe
    schema: bytes

    def rows(self, item_type: Any) -> Any:
        """Return a reader of rows."""
        return self.inner.rows(item_type)

    def columns(self) -> LineColumnReader:
        """Return a reader of columns."""
        return LineColumnReader(self)


class LineColumnReader:
    """Reads chunks of JSON lines as columns.

    A line with a field that is no column, or a value that is not of its
    column's type, is bad; a field that is missing is null.
    """

    def __init__(self, recipe: LineColumnRecipe) -> None:
        self._rows = recipe.inner.rows(dict[str, Any])
        self._schema = pa.ipc.read_schema(pa.BufferReader(recipe.schema))
        self._names = frozenset(self._schema.names)

    def read(self, chunk: Chunk) -> Columns:
        """Return the rows of *chunk*."""
        rows = whole(self._rows.read(chunk, 0))
        unfit: dict[int, str] = {}
        if not all(row.keys() <= self._names for row in rows.items):
            for index, row in enumerate(rows.items):
                if unknown := sorted(row.keys() - self._names):
                    unfit[index] = (
                        f"the field {unknown[0]} is none of the columns that samples of the input have"
                    )
        arrays: list[Any] = []
        for field in self._schema:
            values = [row.get(field.name) for row in rows.items]
            if pa.types.is_string(field.type) and not set(map(type, values)) <= {str, type(None)}:
                values = [_as_text(value) for value in values]
            array, why = array_of(values, field.type)
            arrays.append(array)
            for index, value in why.items():
                unfit.setdefault(index, f"column {field.name}: {value!r} is not {field.type}")
        batch = (
            pa.RecordBatch.from_arrays(arrays, schema=self._schema)
            if arrays
            else pa.RecordBatch.from_pylist(rows.items)
        )
        found = Columns(
            batch=batch,
            numbers=rows.numbers,
            bad=rows.bad,
            total=rows.total,
            blank=rows.blank,
            places=rows.places,
        )
        if not unfit:
            return found
        bad = {
            found.numbers[index]: BadRow(stage="validate", code="invalid_item", message=why)
            for index, why in unfit.items()
        }
        kept = found.chosen([index for index in range(batch.num_rows) if index not in unfit])
        return replace(kept, bad={**found.bad, **bad})

    def original(self, place: Place, item: Any) -> Any:
        """Return the line as it stands."""
        return self._rows.original(place, item)


def _as_text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
