"""JSON lines as a text form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, get_origin

import msgspec

from gristmill.codec import pydantic_models
from gristmill.codec.items import decode_hook
from gristmill.errors import MalformedInput, SourceError
from gristmill.streams.chunk import Chunk
from gristmill.streams.formats.blocks import Blocks, shifted
from gristmill.streams.formats.encoding import bom_length, check_head
from gristmill.streams.formats.json_lines import as_stored, cut_lines, line_spans, parse_lines
from gristmill.streams.formats.selection import identity_of
from gristmill.streams.sources.protocol import BadRow, Place, Rows
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.text_file import Head


@dataclass(frozen=True, slots=True, kw_only=True)
class LineForm:
    """How JSON lines are read.

    Attributes:
        select: name -> the name it gets, of the fields to read; None: all, as they are called.
        rename: name -> the name it gets, of some fields, where all are read.
    """

    select: Mapping[str, str] | None = None
    rename: Mapping[str, str] | None = None

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides which rows are read."""
        return {
            "input format": "ndjson",
            **identity_of(self.select, self.rename),
        }

    @property
    def advice(self) -> str:
        """One array over many lines, mostly."""
        return "is the file one JSON array? Each line is to be one value. Or raise --max-record"

    def head(self, window: bytes, name: str, *, is_last: bool) -> Head | None:  # noqa: ARG002 - enough is there
        """Return that there is no header, but maybe a byte order mark."""
        try:
            check_head(window.partition(b"\n")[0], "utf-8")
        except MalformedInput as error:
            raise SourceError(f"{name}: {error}") from error
        return Head(length=bom_length(window), columns=None)

    def cut(self, window: bytes, *, is_last: bool) -> int | None:
        """Return where whole lines end."""
        return cut_lines(window, is_last=is_last)

    def cut_tail(self, tail: bytes) -> int | None:
        """Return where whole lines end; see ``TextForm``."""
        return cut_lines(tail, is_last=False)

    def names(self, columns: Sequence[str]) -> Sequence[str]:
        """Return *columns*: lines have no header that would say any."""
        return columns

    def recipe(self, heads: Sequence[Head], files: Sequence[Readable]) -> LineRecipe:
        """Return what reads chunks."""
        return LineRecipe(form=self, heads=tuple(heads), files=tuple(files))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRecipe:
    """Makes ``LineReader`` in workers."""

    form: LineForm
    heads: tuple[Head, ...]
    files: tuple[Readable, ...]

    def rows(self, item_type: Any) -> LineReader:
        """Return a reader of rows as *item_type*."""
        return LineReader(self, item_type)

    def columns(self) -> Any:
        """Return a reader of columns."""
        raise NotImplementedError


class LineReader:
    """Reads chunks of JSON lines as rows."""

    def __init__(self, recipe: LineRecipe, item_type: Any) -> None:
        self._recipe = recipe
        self._pick = _picker(item_type, recipe.form.select, recipe.form.rename)
        self._decode = _decoder(item_type, self._pick)
        self._blocks = Blocks(lambda window: cut_lines(window, is_last=False))

    def read(self, chunk: Chunk, batch: int) -> Iterator[Rows]:
        """Yield the rows of *chunk*, block by block."""
        start = max(chunk.start, self._recipe.heads[chunk.source].length)
        if start >= chunk.end:
            return
        if chunk.body is None:
            text = self._recipe.files[chunk.source].read(start, chunk.end)
        else:
            text = chunk.body[start - chunk.start :]
        number = 0
        for at, block in self._blocks.of(text, batch):
            rows = self._block(chunk.source, block, start + at, number)
            number += rows.total + rows.blank
            self._blocks.learn(len(block), rows.total)
            yield rows

    def _block(self, source: int, text: bytes, start: int, number: int) -> Rows:
        """Return the rows of a block that begins at the byte *start* of its file, with the line *number*."""
        found = parse_lines(text, self._decode)
        bad = {
            number + index: BadRow(
                stage="validate" if each.code == "invalid_item" else "parse",
                code=each.code,
                message=each.message,
            )
            for index, each in found.bad.items()
        }
        return Rows(
            items=found.rows,
            numbers=shifted(found.records, number),
            bad=bad,
            total=len(found.rows) + len(bad),
            blank=found.blank,
            places=lambda: [
                Place(source=source, start=start + first, end=start + end, raw=text[first:end])
                for first, end in line_spans(text)
            ],
            start=number,
        )

    def original(self, place: Place, item: Any) -> Any:
        """Return the row as the file has it, or what is selected of it; *item* if that cannot be."""
        stored = None if place.raw is None else as_stored(place.raw)
        if stored is None or self._pick is None:
            return item if stored is None else stored
        try:
            row = msgspec.json.decode(stored)
        except ValueError:  # a number that is out of range
            return item
        try:
            return self._pick(row) if isinstance(row, dict) else stored
        except ValueError:  # it cannot be picked from, and is kept whole
            return stored


Pick: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]


def _picker(
    item_type: Any, select: Mapping[str, str] | None, rename: Mapping[str, str] | None
) -> Pick | None:
    """Return what takes the selected fields of a row; what is missing is null, or a type's default."""
    if select is None:
        return partial(_renamed, rename) if rename else None
    if item_type in (Any, dict) or get_origin(item_type) is dict:
        return lambda row: {new: row.get(name) for name, new in select.items()}
    return lambda row: {new: row[name] for name, new in select.items() if name in row}


def _renamed(rename: Mapping[str, str], row: Mapping[str, Any]) -> dict[str, Any]:
    found = {rename.get(name, name): value for name, value in row.items()}
    if len(found) < len(row):
        raise msgspec.ValidationError(f"two fields would have one name: {', '.join(map(repr, row))}")
    return found


def _decoder(item_type: Any, pick: Pick | None) -> Callable[[bytes], Any]:
    if pick is not None:
        inner = _converter(item_type)
        plain = msgspec.json.Decoder()

        def selected(line: bytes) -> Any:
            row = plain.decode(line)
            if not isinstance(row, dict):
                raise msgspec.ValidationError(f"an object is expected, not {type(row).__name__}")
            return inner(pick(row))

        return selected
    if pydantic_models.is_model(item_type):
        validate: Callable[[bytes], Any] = item_type.__pydantic_validator__.validate_json
        return validate
    if pydantic_models.mentions_model(item_type):
        return pydantic_models.validator(item_type)
    return msgspec.json.Decoder(item_type, dec_hook=decode_hook).decode


def _converter(item_type: Any) -> Callable[[Any], Any]:
    if item_type is Any or item_type is dict:
        return lambda row: row
    if pydantic_models.is_model(item_type):
        validate: Callable[[Any], Any] = item_type.__pydantic_validator__.validate_python
        return validate
    return lambda row: msgspec.convert(row, item_type, dec_hook=decode_hook)
