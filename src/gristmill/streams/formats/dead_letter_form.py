"""A dead-letter file as a text form: the rows that failed, once more, and where they were at first."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from gristmill.errors import ConfigurationError, SourceError
from gristmill.streams.dead_letter import DeadLetter, StoredLetter
from gristmill.streams.formats.compression import Decompressor, told_by
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.csv_rows import parse_rows
from gristmill.streams.formats.dialect import Dialect
from gristmill.streams.formats.json_lines import complaint, line_spans
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.naming import Format, format_of
from gristmill.streams.formats.ndjson_form import LineForm, LineReader, LineRecipe
from gristmill.streams.formats.typed_rows import converter
from gristmill.streams.sources.protocol import BadRow, Place, Rows
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head

_HEAD = 1 << 20
"""Bytes of an input that are read for its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterForm(LineForm):
    """How dead letters are read: each gives its ``item``, or else the row that its ``raw`` is now.

    Attributes:
        csv: How rows of CSV are read that were none, with the options of now: ``pad`` may make one of them.
    """

    csv: CsvForm

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read."""
        return {**self.csv.options, "input format": "dead-letter"}

    @property
    def advice(self) -> str:
        """Dead letters have lines."""
        return "this is no dead-letter file of Gristmill"

    def recipe(self, heads: Sequence[Head], files: Sequence[Readable]) -> DeadLetterRecipe:
        """Return what reads chunks."""
        return DeadLetterRecipe(form=self, heads=tuple(heads), files=tuple(files))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterRecipe(LineRecipe):
    """Makes ``DeadLetterReader`` in workers."""

    form: DeadLetterForm

    def rows(self, item_type: Any) -> DeadLetterReader:
        """Return a reader of rows as *item_type*."""
        return DeadLetterReader(self, item_type)


class DeadLetterReader(LineReader):
    """Reads chunks of dead letters as the rows they are about."""

    def __init__(self, recipe: DeadLetterRecipe, item_type: Any) -> None:
        super().__init__(recipe, item_type)
        self._csv = recipe.form.csv
        self._letter = msgspec.json.Decoder(StoredLetter)
        self._convert = converter(item_type)
        self._layout = lru_cache(maxsize=64)(self._found_layout)

    def _block(self, source: int, text: bytes, start: int, number: int) -> Rows:
        """Return the rows of some letters; see ``LineReader``."""
        spans = line_spans(text)
        found = Rows(
            items=[],
            numbers=(numbers := []),
            bad=(bad := {}),
            places=lambda: [self._place(text[first:end], source, start + first) for first, end in spans],
            start=number,
        )
        for at, (first, end) in enumerate(spans, number):
            line = text[first:end]
            if not line.strip():
                found.blank += 1
                continue
            found.total += 1
            row = self._row(line)
            if isinstance(row, BadRow):
                bad[at] = row
            else:
                found.items.append(row.item)
                numbers.append(at)
        return found

    def _place(self, line: bytes, source: int, start: int) -> Place:
        place = Place(source=source, start=start, end=start + len(line), raw=line)
        try:
            letter = self._letter.decode(line)
        except (ValueError, RecursionError):
            return place  # of the line: it is no letter
        return replace(place, raw=_raw_of(letter), origin=letter.plain())

    def _row(self, line: bytes) -> _Row | BadRow:
        try:
            letter = self._letter.decode(line)
        except (ValueError, RecursionError) as error:
            return BadRow(stage="parse", code="malformed_json", message=f"this is no dead letter: {error}")
        if _is_json(letter.source):
            raw = _raw_of(letter) if _is_missing(letter) else bytes(letter.item)
            return self._decoded(raw)
        try:
            row = self._parsed(letter) if _is_missing(letter) else msgspec.json.decode(letter.item)
        except (ValueError, RecursionError) as error:
            return BadRow(stage="validate", code="invalid_item", message=str(error))
        return row if isinstance(row, BadRow) else self._converted(row)

    def _decoded(self, raw: bytes | None) -> _Row | BadRow:
        if raw is None:
            return _lost()
        try:
            return _Row(self._decode(raw))
        except (ValueError, RecursionError) as error:
            found = complaint(raw, error)
            stage = "validate" if found.code == "invalid_item" else "parse"
            return BadRow(stage=stage, code=found.code, message=found.message)

    def _converted(self, row: Any) -> _Row | BadRow:
        if self._convert is None:
            return _Row(row)
        items, _, bad = self._convert.all([row], [0])
        return bad[0] if bad else _Row(items[0])

    def _parsed(self, letter: StoredLetter) -> Any:
        """Return the row of CSV that the letter's text is, read as the options of now say."""
        raw = _raw_of(letter)
        if raw is None:
            return _lost()
        try:
            layout, dialect = self._layout(letter.source)
            found = parse_rows(raw, layout, dialect, self._csv.encoding)
        except (SourceError, ConfigurationError) as error:
            return BadRow(stage="parse", code=letter.code, message=str(error))
        for each in found.bad.values():
            return BadRow(stage="parse", code=each.code, message=each.message)
        return found.rows[0] if found.rows else _lost()

    def _found_layout(self, source: str) -> tuple[Layout, Dialect]:
        form = self._csv
        if source.partition(".")[2].lower().startswith("tsv") and form.dialect.delimiter == ",":
            form = replace(form, dialect=replace(form.dialect, delimiter="\t"))
        columns = form.header or _header_of(source, form)
        return form.layout(columns), form.dialect

    def original(self, place: Place, item: Any) -> Any:
        """Return the row as the letter has it, or as it was read of its text."""
        if place.origin is None:
            return item
        if place.origin.item is not msgspec.UNSET:
            return place.origin.item
        return super().original(place, item) if _is_json(place.origin.source) else item


@dataclass(frozen=True, slots=True)
class _Row:
    item: Any


def _is_json(source: str) -> bool:
    try:
        return format_of(source, "") is Format.NDJSON
    except ConfigurationError:
        return False


def _is_missing(letter: StoredLetter) -> bool:
    return bytes(letter.item) in (b"", b"null")


def _raw_of(letter: DeadLetter) -> bytes | None:
    if isinstance(letter.raw, str):
        return letter.raw.encode()
    return base64.b64decode(letter.base64) if isinstance(letter.base64, str) else None


def _lost() -> BadRow:
    message = "the letter has no row: it was too long to be kept, or could not be JSON; it is in the input"
    return BadRow(stage="parse", code="row_not_kept", message=message)


def _header_of(source: str, form: CsvForm) -> Sequence[str]:
    try:
        with Path(source).open("rb") as file:
            kind = told_by(file.peek(4)[:4])
            window = Decompressor(file, kind, source).read(_HEAD)
    except OSError as error:
        raise SourceError(
            f"the columns of {source} are not known, as it cannot be read ({error.strerror}); say them with "
            "--header A,B"
        ) from error
    head = form.head(window, source, is_last=len(window) < _HEAD)
    if head is None or head.columns is None:
        raise SourceError(f"{source} has no header any more; say its columns with --header A,B")
    return head.columns
