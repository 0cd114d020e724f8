"""Items for a measurement, from the first rows of a file: what ``gristmill run`` reads, or a JSON array."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook
from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.checkpoint import Checkpoint
from gristmill.streams.chunk import Chunk
from gristmill.streams.endpoints import source_of
from gristmill.streams.formats.typed_rows import converter
from gristmill.streams.options import ReadOptions
from gristmill.streams.sources.protocol import BadRow, ReaderRecipe, whole

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
"""Bytes of a file that are read at once."""


class SampleFormat(StrEnum):
    """How a sample file is written; the value is what ``--input-format`` takes."""

    CSV = "csv"
    TSV = "tsv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"
    DEAD_LETTER = "dead-letter"
    JSON = "json"


class Sample:
    """Rows of a file, made into items again each time: a handler may change those it is given.

    Args:
        rows: As the file holds them, at least one.
        make: Makes the item of a row.
    """

    def __init__(self, rows: list[Any], make: Callable[[Any], Any]) -> None:
        self._rows = rows
        self._make = make
        self._at = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def take(self, size: int) -> list[Any]:
        """Return the next *size* items; the first row comes after the last."""
        items: list[Any] = []
        while len(items) < size:
            stop = min(self._at + size - len(items), len(self._rows))
            items += map(self._make, self._rows[self._at : stop])
            self._at = stop % len(self._rows)
        return items


def read_sample(
    path: Path,
    item_type: Any,
    *,
    limit: int,
    wanted: SampleFormat | None = None,
    is_columnar: bool = False,
) -> Sample:
    """Return the first rows of the file at *path*, each checked to be an item.

    Args:
        path: A file, as ``gristmill run`` takes them, or one with a JSON array.
        item_type: Of the handler's items. The strings of CSV become what it wants, as in a run.
        limit: Rows to read at most, at least 1.
        wanted: How it is written; by default what its name ends with.
        is_columnar: Whether the handler takes columns. Then the cells of text have the types they have in a
            run.

    Raises:
        ConfigurationError: It cannot be read, is not of that format, is empty, or a row is no item.
    """
    if wanted is SampleFormat.JSON or (wanted is None and path.suffix.lower() == ".json"):
        sample = _of_array(path, item_type, limit)
    else:
        sample = _of_stream(path, item_type, limit, wanted, is_columnar=is_columnar)
    if not len(sample):
        raise ConfigurationError(f"{path} has no rows; a sample needs one, and better a few thousand")
    return sample


def _of_stream(
    path: Path, item_type: Any, limit: int, wanted: SampleFormat | None, *, is_columnar: bool
) -> Sample:
    options = ReadOptions(format=None if wanted is None else wanted.value)
    try:
        with closing(source_of([str(path)], options, is_columnar=is_columnar)) as source:
            source.open()
            form = source.options["input format"]
            recipe = source.recipe()
            kind = _Columns(recipe) if is_columnar else _Rows(recipe, item_type, is_json=form == "ndjson")
            rows: list[Any] = []
            before = 0
            for chunk in source.plan(Checkpoint(), lambda: _CHUNK):
                more, bad, records = kind.read(chunk, limit - len(rows))
                for number, each in bad.items():
                    raise ConfigurationError(_told(path, before + number + 1, each, form))
                rows += more
                before += records
                if len(rows) == limit:
                    break
    except SourceError as error:
        raise ConfigurationError(str(error)) from error
    return Sample(rows, kind.make)


def _told(path: Path, row: int, bad: BadRow, form: str) -> str:
    if bad.stage == "parse":
        return f"{path}, row {row}: {bad.message}"
    is_value = form == "csv" and "got `object`" in bad.message
    hint = "; a row is an object, so give single values as NDJSON" if is_value else ""
    return f"{path}, row {row} is no item of the handler: {bad.message}{hint}"


class _Rows:
    """Reads rows as a run does, and keeps them as they were before they became items.

    Args:
        recipe: Makes readers.
        item_type: Of the handler.
        is_json: Whether rows are lines of JSON.
    """

    def __init__(self, recipe: ReaderRecipe, item_type: Any, *, is_json: bool) -> None:
        self._is_json = is_json
        self.make = _from_json(item_type) if is_json else _from_row(item_type)
        self._items = recipe.rows(item_type)
        self._plain = recipe.rows(Any)

    def read(self, chunk: Chunk, number: int) -> tuple[list[Any], dict[int, BadRow], int]:
        """Return the first *number* rows of *chunk*, the bad ones of them, and how many records it has."""
        found = whole(self._items.read(chunk, number))
        records = found.total + found.blank
        found = found.first(number)
        if found.bad:
            return [], dict(found.bad), records
        if self._is_json:
            places = found.places()
            return [places[each].raw for each in found.numbers], {}, records
        return whole(self._plain.read(chunk, number)).first(number).items, {}, records


class _Columns:
    """Reads columns as a run does, and keeps their rows as dicts."""

    def __init__(self, recipe: ReaderRecipe) -> None:
        self._columns = recipe.columns()
        self.make: Callable[[Any], Any] = copy.deepcopy

    def read(self, chunk: Chunk, number: int) -> tuple[list[Any], dict[int, BadRow], int]:
        """Do as ``_Rows.read``."""
        from gristmill.streams.formats.column_text import rows_of  # noqa: PLC0415 - needs pyarrow

        found = self._columns.read(chunk)
        records = found.total + found.blank
        found = found.first(number)
        return rows_of(found.batch), dict(found.bad), records


def _of_array(path: Path, item_type: Any, limit: int) -> Sample:
    make = _from_json(item_type)
    rows: list[bytes] = []
    for number, row in enumerate(_elements(path)):
        if number == limit:
            break
        try:
            make(row)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{path}, element {number} is no item of the handler: {pydantic_models.told(error)}"
            ) from error
        rows.append(row)
    return Sample(rows, make)


def _elements(path: Path) -> Iterator[bytes]:
    try:
        yield from map(
            bytes, msgspec.json.decode(path.read_bytes().removeprefix(_BOM), type=list[msgspec.Raw])
        )
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not a JSON array: {error}") from error


def _from_row(item_type: Any) -> Callable[[Any], Any]:
    convert = converter(item_type)
    return copy.deepcopy if convert is None else convert.one


def _from_json(item_type: Any) -> Callable[[bytes], Any]:
    if pydantic_models.is_model(item_type):
        validate: Callable[[bytes], Any] = item_type.__pydantic_validator__.validate_json
        return validate
    try:
        return msgspec.json.Decoder(item_type, dec_hook=decode_hook).decode
    except TypeError as error:
        if pydantic_models.mentions_model(item_type):
            return pydantic_models.validator(item_type)
        raise ConfigurationError(
            f"items of type {item_type!r} cannot be read from a file: {error}"
        ) from error
