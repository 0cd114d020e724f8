"""CSV and TSV as a text form: a header, records, and rows that become what the handler takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gristmill.errors import MalformedInput, SourceError
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.blocks import Blocks, shifted
from gristmill.streams.formats.csv_cutting import cut, cut_tail, first_record
from gristmill.streams.formats.csv_records import spans
from gristmill.streams.formats.csv_rows import parse_rows
from gristmill.streams.formats.dialect import COMMA, Dialect
from gristmill.streams.formats.encoding import bom_length, check_encoding, check_head
from gristmill.streams.formats.header import OnDuplicate, read_header
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.selection import identity_of
from gristmill.streams.formats.typed_rows import Converter, converter
from gristmill.streams.sources.protocol import BadRow, Place, Rows
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head

_MARK = 4
"""Bytes of the longest byte order mark. NUL bytes further on are those of a header, or spoil their row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvForm:
    """How CSV is read.

    Attributes:
        dialect: Delimiter and quotes.
        encoding: Of the text.
        on_duplicate: What becomes of columns of one name.
        select: name -> the name it gets, of the columns to read; None: all, as they are called.
        rename: name -> the name it gets, of some columns, where all are read.
        pad: Whether missing cells at the end of a row are empty.
        extra: Name of the column that gets the cells beyond the header; None: such a row fails.
        header: The names of the columns of files that have no header.
    """

    dialect: Dialect = COMMA
    encoding: str = "utf-8"
    on_duplicate: OnDuplicate = "error"
    select: Mapping[str, str] | None = None
    rename: Mapping[str, str] | None = None
    pad: bool = False
    extra: str | None = None
    header: tuple[str, ...] | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read."""
        return {
            "input format": "csv",
            "input delimiter": self.dialect.delimiter,
            "quoting": self.dialect.quoting,
            "encoding": self.encoding,
            "duplicate columns": self.on_duplicate,
            **identity_of(self.select, self.rename),
            "short rows": self.pad,
            "extra cells": self.extra,
            "header": None if self.header is None else list(self.header),
        }

    @property
    def advice(self) -> str:
        """A quote that is never closed, mostly."""
        return (
            "a quote that is never closed? Read stray quotes as characters with --quoting lenient, or allow "
            "longer records with --max-record"
        )

    def head(self, window: bytes, name: str, *, is_last: bool) -> Head | None:
        """Return the header; see ``TextForm``."""
        try:
            check_encoding(self.encoding, self.dialect)
            check_head(window[:_MARK], self.encoding)
            if self.header is not None:
                return Head(length=bom_length(window), columns=self.header)
            found = first_record(window, self.dialect, is_last=is_last)
            if found is None:
                return Head(length=len(window), columns=None) if is_last else None
            names = read_header(
                window[found[0] : found[1]], self.dialect, self.encoding, on_duplicate=self.on_duplicate
            )
        except MalformedInput as error:
            raise SourceError(f"{name}: {error}") from error
        return Head(length=found[1], columns=tuple(names))

    def cut(self, window: bytes, *, is_last: bool) -> int | None:
        """Return where whole records end."""
        return cut(window, self.dialect, is_last=is_last)

    def cut_tail(self, tail: bytes) -> int | None:
        """Return where whole records end; see ``TextForm``."""
        return cut_tail(tail, self.dialect)

    def recipe(self, heads: Sequence[Head], files: Sequence[Readable]) -> CsvRecipe:
        """Return what reads chunks; columns that are selected must be there in every file."""
        wanted = next((head.columns for head in heads if head.columns), None)
        for head, file in zip(heads, files, strict=True):
            missing = (
                [] if head.columns is None or wanted is None else sorted(set(wanted) - set(head.columns))
            )
            if missing and self.select is None:
                raise SourceError(
                    f"{file.path} has no column {', '.join(missing)}, and {files[0].path} has; select the "
                    "columns that all have with --select"
                )
            if head.columns is not None:
                self.layout(head.columns)
        return CsvRecipe(form=self, heads=tuple(heads), files=tuple(files))

    def names(self, columns: Sequence[str]) -> Sequence[str]:
        """Return the columns that rows get: those selected, by their new names, and the surplus."""
        found = [name for name, _ in self.layout(columns).columns]
        return found if self.extra is None else [*found, self.extra]

    def layout(self, columns: Sequence[str]) -> Layout:
        """Return how rows are made of records with these *columns*.

        Raises:
            ConfigurationError: A column that is selected is none of them.
        """
        return Layout(columns, self.select, self.rename, pad=self.pad, extra=self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvRecipe:
    """Makes ``CsvReader`` in workers.

    Attributes:
        form: How.
        heads: Of each file.
        files: Where each is.
    """

    form: CsvForm
    heads: tuple[Head, ...]
    files: tuple[Readable, ...]

    def rows(self, item_type: Any) -> CsvReader:
        """Return a reader of rows as *item_type*."""
        return CsvReader(self, converter(item_type))

    def columns(self) -> Any:
        """Return a reader of columns."""
        raise NotImplementedError


class CsvReader:
    """Reads chunks of CSV as rows."""

    def __init__(self, recipe: CsvRecipe, convert: Converter | None) -> None:
        self._recipe = recipe
        self._form = recipe.form
        self._convert = convert
        self._layouts = [self._layout(head) for head in recipe.heads]
        self._blocks = Blocks(lambda window: cut(window, recipe.form.dialect, is_last=False))

    def _layout(self, head: Head) -> Layout | None:
        return None if head.columns is None else self._form.layout(head.columns)

    def read(self, chunk: Chunk, batch: int) -> Iterator[Rows]:
        """Yield the rows of *chunk*, block by block."""
        head, layout = self._recipe.heads[chunk.source], self._layouts[chunk.source]
        start = max(chunk.start, head.length)
        if layout is None or start >= chunk.end:
            return
        if chunk.body is None:
            text = self._recipe.files[chunk.source].read(start, chunk.end)
        else:
            text = chunk.body[start - chunk.start :]
        number = 0
        for at, block in self._blocks.of(text, batch):
            rows = self._block(chunk.source, layout, block, start + at, number)
            number += rows.total + rows.blank
            self._blocks.learn(len(block), rows.total)
            yield rows

    def _block(self, source: int, layout: Layout, text: bytes, start: int, number: int) -> Rows:
        """Return the rows of a block that begins at byte *start* of its file, with the record *number*."""
        try:
            found = parse_rows(text, layout, self._form.dialect, self._form.encoding)
        except MalformedInput as error:
            at = start + error.offset
            raise SourceError(
                f"{self._recipe.files[source].path}, byte {at:,}: a quote stands where RFC 4180 allows "
                "none; read such quotes as characters with --quoting lenient, or all with --quoting none"
            ) from error
        bad = {
            number + index: BadRow(stage="parse", code=each.code, message=each.message)
            for index, each in found.bad.items()
        }
        items: list[Any] = found.rows
        numbers = shifted(found.records, number)
        if self._convert is not None:
            items, numbers, invalid = self._convert.all(found.rows, numbers)
            bad.update(invalid)
        return Rows(
            items=items,
            numbers=numbers,
            bad=bad,
            total=len(items) + len(bad),
            blank=found.blank,
            places=lambda: [
                Place(source=source, start=start + first, end=start + end, raw=text[first:end])
                for first, end in spans(text, self._form.dialect)
            ],
            start=number,
        )

    def original(self, place: Place, item: Any) -> Any:
        """Return the row as the file has it."""
        layout = self._layouts[place.source]
        if place.raw is None or layout is None:
            return item
        return next(iter(parse_rows(place.raw, layout, self._form.dialect, self._form.encoding).rows), None)
