"""Results as CSV: the columns are those of the first chunk, or of the result type."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.results import encode_hook
from gristmill.streams.formats.csv_cells import line_of, lines_of
from gristmill.streams.formats.csv_lines import CsvLines


def names_of(result_type: Any) -> list[str] | None:
    """Return the columns that *result_type* has; None if it does not say."""
    if isinstance(result_type, type) and issubclass(result_type, msgspec.Struct):
        if result_type.__struct_config__.array_like:
            return None  # it is written as a list
        return [*tag_of(result_type), *result_type.__struct_encode_fields__]
    if pydantic_models.is_model(result_type):
        return list(pydantic_models.written_fields(result_type))
    if dataclasses.is_dataclass(result_type):
        return [field.name for field in dataclasses.fields(result_type)]
    if isinstance(result_type, type) and issubclass(result_type, dict) and result_type is not dict:
        return list(result_type.__annotations__)  # a TypedDict
    return None


def tag_of(kind: type[msgspec.Struct]) -> dict[str, str | int]:
    """Return name -> value of what is written before the fields of a struct, to tell it from others."""
    config = kind.__struct_config__
    if config.tag is None or config.tag_field is None:
        return {}
    return {config.tag_field: config.tag}


def as_dicts(results: Sequence[Any]) -> Sequence[Any]:
    """Return *results* with objects made dicts; scalars as ``{"value": ...}``."""
    kinds = set(map(type, results))
    if kinds == {dict}:
        return results
    return [each if type(each) is dict else _as_dict(each) for each in results]


def usable(make: Callable[[Sequence[Any]], Sequence[Any]], results: Sequence[Any]) -> Sequence[Any]:
    """Return what *make* makes of *results*, without those that it raises for."""
    try:
        return make(results)
    except Exception:  # noqa: BLE001 - whoever encodes them says so of each
        found: list[Any] = []
        for each in results:
            with contextlib.suppress(Exception):
                found += make([each])
        return found


def _as_dict(result: Any) -> dict[str, Any]:
    plain = msgspec.to_builtins(result, enc_hook=encode_hook, builtin_types=(bytes, bytearray))
    return plain if isinstance(plain, dict) else {"value": plain}


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRowRecipe:
    """Makes ``CsvRowEncoder``.

    Attributes:
        delimiter: One character.
        columns: The columns to write, in order; None: those of the results.
    """

    delimiter: str = ","
    columns: tuple[str, ...] | None = None

    @property
    def needs_layout(self) -> bool:
        """Always: a file has one header."""
        return True

    def rows(self, result_type: Any) -> CsvRowEncoder:
        """Return an encoder."""
        names = list(self.columns) if self.columns else names_of(result_type)
        return CsvRowEncoder(self.delimiter, names)


class CsvRowEncoder:
    """Writes rows of the columns it is given.

    A value is written as ``csv`` does: nothing for None, numbers as they are;
    besides, ``true`` and ``false``, ISO 8601 for times, JSON for lists and objects.
    """

    def __init__(self, delimiter: str, names: list[str] | None) -> None:
        self._delimiter = delimiter
        self._names = names
        self._layout: bytes | None = None
        self._columns: list[str] = []
        self._known: frozenset[str] = frozenset()
        self._lines = CsvLines((), delimiter)

    @property
    def is_joinable(self) -> bool:
        """Lines are."""
        return True

    def layout(self, results: Sequence[Any]) -> bytes | None:
        """Return the names of the columns, as JSON."""
        if self._names is not None:
            return msgspec.json.encode(self._names)
        first: dict[str, None] = {}
        for each in usable(as_dicts, results):
            first.update(dict.fromkeys(map(str, each)))
        return msgspec.json.encode(list(first)) if first else None

    def encode(self, results: Sequence[Any], layout: bytes | None) -> tuple[bytes, Mapping[int, str]]:
        """Return the lines; a result with another column, or without text, cannot be written."""
        if not results:
            return b"", {}
        if layout is None:
            return b"", dict.fromkeys(range(len(results)), "the result has no columns")
        try:
            return self._encoded(results, layout)
        except Exception:  # noqa: BLE001 - whatever it was, it is said of the result it is about
            return self._one_by_one(results, layout)

    def _one_by_one(self, results: Sequence[Any], layout: bytes) -> tuple[bytes, Mapping[int, str]]:
        lines: list[bytes] = []
        bad: dict[int, str] = {}
        for index, result in enumerate(results):
            try:
                line, why = self._encoded([result], layout)
            except Exception as error:  # noqa: BLE001 - as above
                bad[index] = f"the result has no text for CSV: {type(error).__name__}: {error}"
            else:
                lines.append(line)
                bad.update(dict.fromkeys([index] if why else [], why.get(0, "")))
        return b"".join(lines), bad

    def _encoded(self, results: Sequence[Any], layout: bytes) -> tuple[bytes, Mapping[int, str]]:
        if layout != self._layout:
            self._layout, self._columns = layout, msgspec.json.decode(layout, type=list[str])
            self._known = frozenset(self._columns)
            self._lines = CsvLines(self._columns, self._delimiter)
        dicts = as_dicts(results)
        if set(map(len, dicts)) == {len(self._columns)}:
            with contextlib.suppress(KeyError):  # as many columns, and not the same
                return self._lines.encode(dicts), {}
        bad = {
            index: self._complaint(each) for index, each in enumerate(dicts) if not each.keys() <= self._known
        }
        kept = [each for index, each in enumerate(dicts) if index not in bad]
        columns = [[each.get(name) for each in kept] for name in self._columns]
        return lines_of(columns, self._delimiter).encode("utf-8", "surrogatepass"), bad

    def _complaint(self, row: Mapping[str, Any]) -> str:
        unknown = ", ".join(sorted(str(each) for each in row.keys() - self._known))
        return f"the result has {unknown}, and the output has only {', '.join(self._columns)}"


def header_line(layout: bytes | None, delimiter: str) -> bytes:
    """Return the header that *layout* stands for."""
    if layout is None:
        return b""
    return line_of(msgspec.json.decode(layout, type=list[str]), delimiter).encode()
