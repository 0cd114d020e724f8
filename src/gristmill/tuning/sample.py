"""Items for a measurement, from the first rows of a small file: CSV, TSV, NDJSON or a JSON array."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook
from gristmill.errors import ConfigurationError

_BOM = b"\xef\xbb\xbf"


class SampleFormat(StrEnum):
    """How a sample file is written; the value is what ``--input-format`` takes."""

    CSV = "csv"
    TSV = "tsv"
    NDJSON = "ndjson"
    JSON = "json"


_SUFFIXES = {f".{each.value}": each for each in SampleFormat} | {".jsonl": SampleFormat.NDJSON}
_DELIMITERS = {SampleFormat.CSV: ",", SampleFormat.TSV: "\t"}


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


def read_sample(path: Path, item_type: Any, *, limit: int, wanted: SampleFormat | None = None) -> Sample:
    """Return the first rows of the file at *path*, each checked to be an item.

    Args:
        path: A file.
        item_type: Of the handler's items. The strings of CSV become what it wants, as far as msgspec
            (``strict=False``) or pydantic converts them.
        limit: Rows to read at most, at least 1.
        wanted: How it is written; by default what its name ends with.

    Raises:
        ConfigurationError: It cannot be read, is not of that format, is empty, or a row is no item.
    """
    kind = wanted or _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(
            f"{path.name} ends with none of {', '.join(_SUFFIXES)}; say how it is written with --input-format"
        )
    make = _from_strings(item_type) if kind in _DELIMITERS else _from_json(item_type)
    try:
        found = list(islice(_rows(path, kind), limit))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    except csv.Error as error:
        raise ConfigurationError(f"{path} is not {kind.value.upper()}: {error}") from error
    if not found:
        raise ConfigurationError(f"{path} has no rows; a sample needs one, and better a few thousand")
    for where, row in found:
        try:
            make(row)
        except (ValueError, RecursionError) as error:
            is_value = kind in _DELIMITERS and "got `object`" in str(error)
            hint = "; a row is an object, so give single values as NDJSON" if is_value else ""
            raise ConfigurationError(f"{path}, {where} is no item of the handler: {error}{hint}") from error
    return Sample([row for _, row in found], make)


def _rows(path: Path, kind: SampleFormat) -> Iterator[tuple[str, Any]]:
    """Yield where each row stands, and the row: a dict of strings, or JSON."""
    if kind in _DELIMITERS:
        with path.open(encoding="utf-8-sig", newline="") as text:
            yield from _table(path, text, _DELIMITERS[kind])
    elif kind is SampleFormat.NDJSON:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if json := line.removeprefix(_BOM).strip():
                    yield f"line {number}", json
    else:
        try:
            values = msgspec.json.decode(path.read_bytes().removeprefix(_BOM), type=list[msgspec.Raw])
        except msgspec.DecodeError as error:
            raise ConfigurationError(f"{path} is not a JSON array: {error}") from error
        for number, value in enumerate(values):
            yield f"element {number}", bytes(value)


def _table(path: Path, text: TextIO, delimiter: str) -> Iterator[tuple[str, dict[str, str]]]:
    reader = csv.reader(text, delimiter=delimiter)
    names = [name.strip() for name in next(reader, [])]
    if names and (not all(names) or len(set(names)) < len(names)):
        raise ConfigurationError(f"{path}: the first row names the columns, each once")
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(names):
            raise ConfigurationError(
                f"{path}, line {reader.line_num} has {len(cells)} cells, not {len(names)}"
            )
        yield f"line {reader.line_num}", dict(zip(names, cells, strict=True))


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


def _from_strings(item_type: Any) -> Callable[[dict[str, str]], Any]:
    from_json = _from_json(item_type)
    if pydantic_models.mentions_model(item_type):
        return lambda row: from_json(msgspec.json.encode(row))  # pydantic converts strings itself

    def convert(row: dict[str, str]) -> Any:
        return msgspec.convert(row, item_type, strict=False, dec_hook=decode_hook)

    def make(row: dict[str, str]) -> Any:
        if item_type is Any:
            return row.copy()
        try:
            return convert(row)
        except ValueError:
            # An empty cell that cannot be what its field wants leaves the field its default.
            filled = {name: cell for name, cell in row.items() if cell}
            if len(filled) < len(row):
                try:
                    return convert(filled)
                except ValueError:
                    pass  # the first error says it of the row as it is
            raise

    return make
