"""Column chunks of Parquet files as bytes: where they lie, and a footer for some of them in one new file.

A column chunk is complete in itself: its dictionary page and data pages refer
to nothing outside. So one that nobody has changed is copied as it is, next to
those that were encoded anew. What points elsewhere (page indexes, bloom
filters) stays behind.

Method: copying of whole column chunks, as the column-pruning and rewriting
commands of parquet-java do (``ParquetFileWriter.appendColumnChunk``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.parquet_footer import (
    BLOOM_FILTER,
    CHUNK_OFFSET,
    COLUMN_ORDERS,
    COLUMNS,
    DATA_PAGE,
    DICTIONARY_PAGE,
    GROUP_OFFSET,
    GROUP_ROWS,
    INDEX_PAGE,
    MAGIC,
    META,
    ORDINAL,
    ROW_GROUPS,
    ROWS,
    SCHEMA,
    TAIL,
    Footer,
    open_footer,
    refuse_absent,
    structs_of,
)
from gristmill.streams.formats.parquet_leaves import Leaf, flat_leaves
from gristmill.streams.formats.thrift_compact import encode
from gristmill.streams.formats.thrift_tree import BINARY, I16, I64, LIST, STRUCT, Items, Raw, Shape, Struct

CODECS = {"none": 0, "snappy": 1, "gzip": 2, "zstd": 6, "lz4": 7}
"""The codecs whose pages are copied, by the names of options; others are known to too few readers."""

_CREATED_BY = 6  # FileMetaData
_GROUP_BYTES, _GROUP_COMPRESSED = 2, 6  # RowGroup
_PATH, _CODEC, _VALUES, _UNCOMPRESSED, _COMPRESSED, _STATISTICS, _BLOOM_LENGTH = (
    3, 4, 5, 6, 7, 12, 15,
)  # fmt: skip
_TYPE_ORDER = Struct({1: (STRUCT, Struct({}))})  # ColumnOrder
_META_SHAPE: Shape = dict.fromkeys(
    (_PATH, _CODEC, _VALUES, _UNCOMPRESSED, _COMPRESSED, DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE)
)
_CHUNK_SHAPE: Shape = {META: _META_SHAPE}
_SHAPE: Shape = {ROWS: None, _CREATED_BY: None, ROW_GROUPS: {GROUP_ROWS: None}}
_NOTHING = b"\x0c"  # a list of no structs
_WRITERS = {
    "parquet-cpp-arrow": (4, 0),
    "parquet-mr": (1, 12),
    "parquet-rs": (20, 0),
    "duckdb": (0, 0),
    "polars": (0, 0),
}
"""Writers without faults that readers know them by, and the version from which that is so."""
_WRITER = re.compile(r"([a-z-]+)(?: version v?(\d+)\.(\d+))?")


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A column chunk as it lies in a file.

    Attributes:
        start: Its first byte in the file.
        size: Bytes of its pages.
        leaf: What its column is; None if that is not told, as of nested ones.
        meta: Its ``ColumnMetaData``.
    """

    start: int
    size: int
    leaf: Leaf | None
    meta: Struct

    @property
    def codec(self) -> int | None:
        """How its pages are compressed, by the number of the format."""
        return self.meta.integer(_CODEC)

    @property
    def column(self) -> str:
        """The column that it is, or is a part of."""
        path = self.meta.fields.get(_PATH, (0, None))[1]
        first = path.items[0] if isinstance(path, Items) and path.items else b""
        return first.decode() if isinstance(first, bytes) else ""

    def named(self, name: str) -> StoredChunk:
        """Return the same as a column of another name."""
        meta = Struct(dict(self.meta.fields))
        meta.replace(_PATH, Items(BINARY, [name.encode()]))
        return replace(self, meta=meta)


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column of a chunk as its file has it: what :class:`StoredChunk` tells, and the bytes.

    Attributes:
        chunk: Where it is.
        read: Fills its second argument with the bytes of the file from the first on.
    """

    chunk: StoredChunk
    read: Callable[[int, memoryview], None]


Stored: TypeAlias = Mapping[str, StoredColumn]


class ChunkTable:
    """The column chunks of a file; those of a row group are opened when they are asked for.

    Args:
        metadata: Of the file, as ``read_footer`` takes it.
        end: The size of the file without its footer, in bytes.

    Raises:
        ParquetInvalid: As ``open_footer``.
    """

    def __init__(self, metadata: bytes, end: int) -> None:
        self.footer = open_footer(metadata, _SHAPE)
        self.leaves = flat_leaves(self.footer.raw(SCHEMA) or _NOTHING)
        self._end = end
        self._orders = structs_of(self.footer.raw(COLUMN_ORDERS) or _NOTHING)
        self._is_trusted = _is_trusted(self.footer)

    def all(self, index: int) -> list[StoredChunk]:
        """Return the chunks of one row group, in the order of the columns, those of nested ones too.

        Raises:
            ParquetInvalid: They do not lie in the file, are encrypted, or are not those of the schema.
        """
        columns = self.footer.row_groups[index].fields.get(COLUMNS, (0, None))[1]
        chunks = structs_of(columns.data, _CHUNK_SHAPE) if isinstance(columns, Raw) else []
        if len(chunks) != len(self.leaves):
            raise ParquetInvalid("A row group has other columns than the schema; the file is damaged.")
        return [_chunk(chunk, leaf, self._end) for chunk, (_, leaf) in zip(chunks, self.leaves, strict=True)]

    def copyable(self, index: int) -> dict[str, StoredChunk]:
        """Return those of :meth:`all` that can be copied into another file, by the names of their columns.

        These are flat columns of a trusted writer, in a codec that all
        readers know. Where the file does not say how minimum and maximum are
        ordered, the copy has none.

        Raises:
            ParquetInvalid: As :meth:`all`.
        """
        if not self._is_trusted:
            return {}
        rows = self.footer.row_groups[index].integer(GROUP_ROWS)
        found: dict[str, StoredChunk] = {}
        for number, chunk in enumerate(self.all(index)):
            is_plain = chunk.codec in CODECS.values() and not chunk.meta.integer(INDEX_PAGE)
            if chunk.leaf is not None and is_plain and rows and chunk.meta.integer(_VALUES) == rows:
                is_ordered = number < len(self._orders) and self._orders[number] == _TYPE_ORDER
                found[chunk.column] = _without_bloom_filter(chunk, is_ordered=is_ordered)
        return found


def _is_trusted(footer: Footer) -> bool:
    """Tell whether a file is of a writer that readers need not know to read its pages right.

    Readers work around faults of old versions by the name in the footer,
    which is another one in the new file.
    """
    name = footer.tree.fields.get(_CREATED_BY, (0, None))[1]
    found = _WRITER.match(name.decode(errors="replace").lower()) if isinstance(name, bytes) else None
    if found is None or found[1] not in _WRITERS:
        return False
    return (int(found[2] or 0), int(found[3] or 0)) >= _WRITERS[found[1]]


def _chunk(chunk: Struct, leaf: Leaf | None, end: int) -> StoredChunk:
    refuse_absent(chunk)
    meta = chunk.fields.get(META, (0, None))[1]
    if not isinstance(meta, Struct):
        raise ParquetInvalid("A column of the Parquet file has no metadata; the file is damaged.")
    data, dictionary = meta.integer(DATA_PAGE) or 0, meta.integer(DICTIONARY_PAGE) or 0
    start = min(data, dictionary or data)
    size = meta.integer(_COMPRESSED) or 0
    if not len(MAGIC) <= start <= start + size <= end:
        raise ParquetInvalid(f"A column is said to begin at byte {start} of {end}; the file is damaged.")
    return StoredChunk(start=start, size=size, leaf=leaf, meta=meta)


def _without_bloom_filter(chunk: StoredChunk, *, is_ordered: bool) -> StoredChunk:
    left = {BLOOM_FILTER, _BLOOM_LENGTH} if is_ordered else {BLOOM_FILTER, _BLOOM_LENGTH, _STATISTICS}
    kept = {field: value for field, value in chunk.meta.fields.items() if field not in left}
    return replace(chunk, meta=Struct(kept))


def joined(template: Footer, rows: int, columns: Sequence[StoredChunk]) -> tuple[int, bytes]:
    """Return the footer of a file of one row group that has these chunks one after another.

    Args:
        template: Of a file with the same schema; all but its row groups is taken over.
        rows: In the row group.
        columns: The chunks, in the order of the schema. Their bytes stand in this order, the first after the
            magic.

    Returns:
        Where the footer begins, and its bytes.
    """
    at = len(MAGIC)
    chunks: list[Struct] = []
    for chunk in columns:
        meta = _moved(chunk, at - chunk.start)
        chunks.append(Struct({CHUNK_OFFSET: (I64, 0), META: (STRUCT, meta)}))
        at += chunk.size
    group = Struct(
        {
            COLUMNS: (LIST, Items(STRUCT, [*chunks])),
            _GROUP_BYTES: (I64, sum(chunk.meta.integer(_UNCOMPRESSED) or 0 for chunk in columns)),
            GROUP_ROWS: (I64, rows),
            GROUP_OFFSET: (I64, len(MAGIC)),
            _GROUP_COMPRESSED: (I64, sum(chunk.size for chunk in columns)),
            ORDINAL: (I16, 0),
        }
    )
    tree = Struct(dict(template.tree.fields))
    tree.replace(ROWS, rows)
    tree.replace(ROW_GROUPS, Items(STRUCT, [group]))
    metadata = encode(tree)
    return at, metadata + len(metadata).to_bytes(TAIL - len(MAGIC), "little") + MAGIC


def _moved(chunk: StoredChunk, by: int) -> Struct:
    meta = Struct(dict(chunk.meta.fields))
    for field in (DATA_PAGE, DICTIONARY_PAGE):
        if offset := meta.integer(field):
            meta.replace(field, offset + by)
    return meta
