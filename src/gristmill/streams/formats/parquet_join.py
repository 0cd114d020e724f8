"""One footer for many Parquet files that stand one after another in one file.

A Parquet file is whatever its footer points at, so files of one schema are
joined by writing one footer with the row groups of all, their offsets moved
to where each file lies. No page is decoded or copied; what no footer points
at any more (the files' own footers) is dead bytes between row groups.

Method: row groups appended as they are encoded, their offsets moved, as
``ParquetFileWriter.appendFile`` and the merge command of parquet-java do
(PARQUET-382). They copy the pages into a new file; here the pages stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gristmill.errors import ParquetInvalid, StreamError
from gristmill.streams.formats.parquet_footer import (
    COLUMN_ORDERS,
    COLUMNS,
    GROUP_ROWS,
    MAGIC,
    OFFSET_INDEX,
    OFFSET_INDEX_SIZE,
    ORDINAL,
    ROW_GROUPS,
    ROWS,
    TAIL,
    Footer,
    index_range,
    shift,
    shift_index,
)
from gristmill.streams.formats.parquet_schema import require_same_schema
from gristmill.streams.formats.thrift_compact import STOP, encode, list_header
from gristmill.streams.formats.thrift_tree import I64, LIST, STRUCT, Raw, Struct

_LAST_ORDINAL = 32_767  # an i16
_LARGEST = 2**31 - 1  # readers take the length of the metadata for a signed number


class FooterJoin:
    """The footer of all files so far; what it holds in memory is the bytes of this footer, no tree of them.

    Args:
        at: Where in the joint file the first byte will stand that :meth:`add` or :meth:`finish` returns.
    """

    def __init__(self, at: int) -> None:
        self._at = at
        self._first: Footer | None = None
        self._groups: list[bytes] = []
        self._count = 0
        self._rows = 0
        self._same_orders = True
        self._pieces = 0

    @property
    def rows(self) -> int:
        """How many rows the files so far have."""
        return self._rows

    def add(self, footer: Footer, offset: int, end: int, indexes: Sequence[bytes]) -> bytes:
        """Take one more file's row groups; those without rows are left out.

        Args:
            footer: The file's footer. Its row groups are changed: it is used up.
            offset: Where the file begins in the joint file, in bytes.
            end: The file's size without its footer.
            indexes: The offset indexes of its column chunks, those that :func:`index_ranges` names.

        Returns:
            The offset indexes, moved, to be written after what was returned before. The
            file's own ones say where pages were before the file was put behind others.

        Raises:
            SchemaMismatch: The columns are not those of the first file.
            ParquetInvalid: An offset or an index makes no sense; nothing was taken.
        """
        first = self._first or Footer(
            Struct({**footer.tree.fields, ROW_GROUPS: (LIST, Raw(b""))}), footer.size
        )
        if self._pieces:
            require_same_schema(first, footer, f"piece {self._pieces}, at byte {offset},")
        moved = bytearray()
        groups = bytearray()
        count = self._count
        for chunk, index in zip(_indexed(footer), indexes, strict=True):
            later = shift_index(index, offset)
            chunk.replace(OFFSET_INDEX, self._at + len(moved))
            chunk.replace(OFFSET_INDEX_SIZE, len(later))
            moved += later
        for group in _with_rows(footer):
            shift(group, offset, end)
            _number(group, count)
            groups += encode(group)
            count += 1
        self._first = first
        self._same_orders &= first.raw(COLUMN_ORDERS) == footer.raw(COLUMN_ORDERS)
        self._groups.append(bytes(groups))
        self._count = count
        self._rows += footer.rows
        self._pieces += 1
        self._at += len(moved)
        return bytes(moved)

    def finish(self) -> Iterator[bytes]:
        """Return the footer in parts: with these written last, the file is a Parquet file.

        Key-value metadata and the writer's name are the first file's. Where
        files disagree on the order behind minimum and maximum (they were
        written by different versions), the footer names none, and readers
        ignore these statistics rather than misread them.

        Raises:
            StreamError: There was no file, so nobody knows the columns.
            ParquetInvalid: The footer is larger than 2 GiB, so that nothing could read it.
        """
        if self._first is None:
            raise StreamError(
                "There is nothing to make a Parquet file of. Append a piece first; it may be without rows."
            )
        fields = dict(self._first.tree.fields)
        fields[ROWS] = (I64, self._rows)
        fields[ROW_GROUPS] = (LIST, Raw(list_header(STRUCT, self._count)))
        if not self._same_orders:
            fields.pop(COLUMN_ORDERS, None)
        ids = list(fields)
        cut = ids.index(ROW_GROUPS) + 1
        head = encode(Struct({field: fields[field] for field in ids[:cut]}))[: -len(STOP)]
        tail = encode(Struct({field: fields[field] for field in ids[cut:]}), after=ROW_GROUPS)
        size = len(head) + sum(map(len, self._groups)) + len(tail)
        if size > _LARGEST:
            raise ParquetInvalid(
                f"The footer of {self._count} row groups would have {size} bytes, more than {_LARGEST}. "
                "Write larger row groups."
            )
        yield head
        yield from self._groups
        yield tail + size.to_bytes(TAIL - len(MAGIC), "little") + MAGIC


def index_ranges(footer: Footer) -> list[tuple[int, int]]:
    """Return (start, size) in bytes of the offset indexes of a file that :meth:`FooterJoin.add` asks for."""
    return [span for chunk in _indexed(footer) if (span := index_range(chunk)) is not None]


def _with_rows(footer: Footer) -> list[Struct]:
    return [group for group in footer.row_groups if group.integer(GROUP_ROWS)]


def _indexed(footer: Footer) -> list[Struct]:
    """Return the column chunks that have an offset index, in order."""
    chunks = (chunk for group in _with_rows(footer) for chunk in group.structs(COLUMNS))
    return [chunk for chunk in chunks if index_range(chunk) is not None]


def _number(group: Struct, ordinal: int) -> None:
    """Give a row group that has a number its number in the joint file, or none when it does not fit."""
    if ORDINAL not in group.fields:
        return
    if ordinal <= _LAST_ORDINAL:
        group.replace(ORDINAL, ordinal)
    else:
        del group.fields[ORDINAL]
