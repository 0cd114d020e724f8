"""Text files that are read as columns: their types are found once, before the run, and then frozen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from typing import Any

from gristmill.errors import ConfigurationError, MalformedInput
from gristmill.streams.checkpoint import SourceMark
from gristmill.streams.formats.column_types import ColumnType, infer, parse_types
from gristmill.streams.formats.csv_form import CsvForm
from gristmill.streams.formats.csv_rows import parse_rows
from gristmill.streams.formats.layout import Layout
from gristmill.streams.formats.ndjson_form import LineForm
from gristmill.streams.sources.protocol import ReaderRecipe
from gristmill.streams.sources.text_file import TextFiles

_HEAD = 1 << 18
_PART = 1 << 16
_PARTS = 8
"""Bytes and number of the samples after the one of the beginning, spread over the file."""
_SAMPLED = 16
"""Files that samples are taken of, at most."""


class SampledFiles(TextFiles):
    """Text files of which samples are looked at before the run."""

    def _samples(self, index: int, begin: int) -> Iterator[bytes]:
        """Yield whole records of the beginning, then what may be whole records from within."""
        text = self._text(index)
        try:
            window = text.window(0, begin + _HEAD)
            size = text.size
            is_last = len(window) < begin + _HEAD
            end = self._form.cut(window[begin:], is_last=is_last)
            if end is not None:
                yield window[begin : begin + end]
            if size is None or is_last:
                return
            for part in range(1, _PARTS + 1):
                start = begin + _HEAD + (size - begin - _HEAD) * part // _PARTS - _PART
                if start <= begin + _HEAD:
                    continue
                window = text.window(start, _PART)
                at = window.find(b"\n") + 1
                end = self._form.cut(window[at:], is_last=False)
                if at and end:
                    yield window[at : at + end]
        finally:
            if text is not self._pipe:
                text.close()


class CsvColumnFiles(SampledFiles):
    """Files of CSV that are read as columns.

    The types that are not said are inferred from samples of the beginning, the
    end and between. They belong to the identity of the run: a resumed run that
    would find other ones is refused, so all of an output has the same.

    Args:
        paths: The files; ``-`` is *standard_input*.
        form: How they are cut.
        types: column -> type, for those that are to be of it.
        is_inferring: Whether the others are inferred; else they are text.
        max_record: Bytes of one record at most.
        standard_input: What ``-`` is.
    """

    def __init__(
        self,
        paths: Sequence[str],
        form: CsvForm,
        *,
        types: Mapping[str, str],
        is_inferring: bool,
        max_record: int,
        standard_input: BufferedReader | None,
    ) -> None:
        super().__init__(paths, form, max_record=max_record, standard_input=standard_input)
        self._csv = form
        self._said = parse_types(types)
        self._is_inferring = is_inferring
        self.types: dict[str, ColumnType] = {}

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read, and the types of their columns."""
        types = {name: str(kind) for name, kind in self.types.items() if kind.name != "string"}
        return {**super().options, "column types": types}

    def open(self) -> Sequence[SourceMark]:
        """Look at every file, and find the types."""
        marks = super().open()
        layout = next((found for head in self._heads if (found := self._layout(head.columns))), None)
        names = [] if layout is None else [name for name, _ in layout.columns]
        if unknown := sorted(self._said.keys() - set(names)):
            raise ConfigurationError(
                f"there is no column {', '.join(unknown)} to be of a type; there is {', '.join(names)}"
            )
        inferred = (
            infer([name for name in names if name not in self._said], self._sample())
            if self._is_inferring
            else {}
        )
        self.types = {
            name: {**inferred, **self._said}[name] for name in names if name in inferred or name in self._said
        }
        return marks

    def _layout(self, columns: tuple[str, ...] | None) -> Layout | None:
        if columns is None:
            return None
        return Layout(columns, self._csv.select, self._csv.rename, pad=self._csv.pad)

    def _sample(self) -> Iterator[Mapping[str, str]]:
        for index, head in enumerate(self._heads[:_SAMPLED]):
            layout = self._layout(head.columns)
            if layout is not None:
                for text in self._samples(index, head.length):
                    yield from self._parsed(text, layout)

    def _parsed(self, text: bytes, layout: Layout) -> list[dict[str, str]]:
        """Return the rows of *text*; none if it began within a quoted cell, for nobody knows then."""
        try:
            found = parse_rows(text, layout, self._csv.dialect, self._csv.encoding)
        except MalformedInput:
            return []
        return found.rows if len(found.bad) <= len(found.rows) else []

    def recipe(self) -> ReaderRecipe:
        """Return what reads the chunks in workers."""
        from gristmill.streams.formats.column_csv import CsvColumnRecipe  # noqa: PLC0415 - needs pyarrow

        return CsvColumnRecipe(self._csv.recipe(self._heads, self._readable), self.types)


class LineColumnFiles(SampledFiles):
    """Files of JSON lines that are read as columns: which, and of which types, samples tell once.

    Args:
        paths: The files; ``-`` is *standard_input*.
        form: How they are cut.
        max_record: Bytes of one record at most.
        standard_input: What ``-`` is.
    """

    def __init__(
        self, paths: Sequence[str], form: LineForm, *, max_record: int, standard_input: BufferedReader | None
    ) -> None:
        super().__init__(paths, form, max_record=max_record, standard_input=standard_input)
        self._lines = form
        self._schema = b""
        self._shown: dict[str, str] = {}

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns that samples have."""
        return list(self._shown)

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read, and the types of their columns."""
        return {**super().options, "column types": self._shown}

    def open(self) -> Sequence[SourceMark]:
        """Look at every file, and find the columns."""
        from gristmill.streams.formats.column_lines import infer_schema  # noqa: PLC0415 - needs pyarrow

        marks = super().open()
        texts = (
            text
            for index, head in enumerate(self._heads[:_SAMPLED])
            for text in self._samples(index, head.length)
        )
        self._schema, self._shown = infer_schema(texts, self._lines.select, self._lines.rename)
        return marks

    def recipe(self) -> ReaderRecipe:
        """Return what reads the chunks in workers."""
        from gristmill.streams.formats.column_lines import LineColumnRecipe  # noqa: PLC0415 - needs pyarrow

        return LineColumnRecipe(self._lines.recipe(self._heads, self._readable), self._schema)
