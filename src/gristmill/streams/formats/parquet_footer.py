"""The footer of a Parquet file: where it is, its offsets, and the same moved further down a longer file.

Field ids are those of ``parquet.thrift`` in the Apache parquet-format
project. Statistics, encodings, sizes and whatever a later version adds are
never opened, only kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from gristmill.errors import ParquetInvalid
from gristmill.streams.formats.thrift_compact import decode, decode_first, encode
from gristmill.streams.formats.thrift_tree import LIST, Items, Raw, Shape, Struct

MAGIC = b"PAR1"
TAIL = 8  # bytes of the length of the metadata and the magic, at the end of a file

VERSION, SCHEMA, ROWS, ROW_GROUPS, KEY_VALUES, COLUMN_ORDERS = 1, 2, 3, 4, 5, 7  # FileMetaData
COLUMNS, GROUP_ROWS, GROUP_OFFSET, ORDINAL = 1, 3, 5, 7  # RowGroup
FILE_PATH, CHUNK_OFFSET, META, OFFSET_INDEX, OFFSET_INDEX_SIZE, COLUMN_INDEX = 1, 2, 3, 4, 5, 6  # ColumnChunk
DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER = 9, 10, 11, 14  # ColumnMetaData

_ENCRYPTED = "The Parquet file is encrypted, and encrypted files cannot be joined. Write it unencrypted."
_ENCRYPTED_MAGIC = b"PARE"
_FILE_CRYPTO = (8, 9)  # FileMetaData: encryption_algorithm, footer_signing_key_metadata
_CHUNK_CRYPTO = (8, 9)  # ColumnChunk: crypto_metadata, encrypted_column_metadata

_META_SHAPE: Shape = dict.fromkeys((DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER))
_CHUNK_SHAPE: Shape = {
    **dict.fromkeys((CHUNK_OFFSET, OFFSET_INDEX, OFFSET_INDEX_SIZE, COLUMN_INDEX)),
    META: _META_SHAPE,
}
_GROUP_SHAPE: Shape = {COLUMNS: _CHUNK_SHAPE, GROUP_ROWS: None, GROUP_OFFSET: None, ORDINAL: None}
_FILE_SHAPE: Shape = {ROWS: None, ROW_GROUPS: _GROUP_SHAPE}
_PAGE_LOCATIONS, _PAGE_OFFSET = 1, 1  # OffsetIndex, PageLocation
_INDEX_SHAPE: Shape = {_PAGE_LOCATIONS: {_PAGE_OFFSET: None}}


@dataclass(frozen=True, slots=True)
class Footer:
    """The metadata of one file.

    Attributes:
        tree: Its fields; offsets and counts are opened, all else is as it was encoded.
        size: Bytes from its first byte to the end of the file.
    """

    tree: Struct
    size: int

    @property
    def rows(self) -> int:
        """How many rows the file has."""
        return self.tree.integer(ROWS) or 0

    @property
    def row_groups(self) -> list[Struct]:
        """Its row groups, in order; those without rows too."""
        return self.tree.structs(ROW_GROUPS)

    def raw(self, field: int) -> bytes | None:
        """Return a list of ``FileMetaData`` as it is encoded, or None if it is not there."""
        value = self.tree.fields.get(field, (0, None))[1]
        return value.data if isinstance(value, Raw) else None


def footer_size(end: bytes) -> int:
    """Return how many bytes the footer of a file is, from the last eight of the file."""
    if end[4:] == _ENCRYPTED_MAGIC:
        raise ParquetInvalid(_ENCRYPTED)
    if len(end) != TAIL or end[4:] != MAGIC:
        raise ParquetInvalid(
            f"A Parquet file ends with {MAGIC!r}, this one with {end[4:]!r}; it is damaged or cut off."
        )
    return int.from_bytes(end[:4], "little") + TAIL


def footer_of(piece: bytes) -> Footer:
    """Read the footer of a whole Parquet file in memory.

    Raises:
        ParquetInvalid: It is no Parquet file, is cut off or damaged, is encrypted, or has its data elsewhere.
    """
    return read_footer(piece[-piece_footer_size(piece) : -TAIL])


def piece_footer_size(piece: bytes | bytearray | memoryview) -> int:
    """Return how many bytes the footer of a whole file in memory is, without a look into it."""
    size = footer_size(bytes(piece[-TAIL:]))
    if bytes(piece[: len(MAGIC)]) != MAGIC or size + len(MAGIC) > len(piece):
        raise ParquetInvalid(
            "The bytes end like a Parquet file and do not begin like one; something is missing."
        )
    return size


def read_footer(metadata: bytes) -> Footer:
    """Read the metadata of a file, the bytes between its last page or index and the eight at its end.

    Raises:
        ParquetInvalid: As :func:`footer_of`.
    """
    footer = open_footer(metadata, _FILE_SHAPE)
    for group in footer.row_groups:
        for chunk in group.structs(COLUMNS):
            refuse_absent(chunk)
    return footer


def open_footer(metadata: bytes, shape: Shape) -> Footer:
    """Read the metadata of a file, without a look at where its column chunks are.

    Args:
        metadata: As of :func:`read_footer`.
        shape: What to open of it, with the rows of the file and of its row groups at least.

    Raises:
        ParquetInvalid: It is cut off, damaged or encrypted.
    """
    tree, end = decode_first(metadata, shape)
    if any(field in tree.fields for field in _FILE_CRYPTO):
        raise ParquetInvalid(_ENCRYPTED)  # such a footer is followed by its signature
    if end != len(metadata):
        raise ParquetInvalid(
            f"The Parquet metadata has {len(metadata) - end} bytes too many; the file is damaged."
        )
    footer = Footer(tree, len(metadata) + TAIL)
    if tree.integer(ROWS) is None or footer.raw(SCHEMA) is None or ROW_GROUPS not in tree.fields:
        raise ParquetInvalid(
            "The Parquet metadata lacks its schema, row groups or number of rows; it is damaged."
        )
    if sum(group.integer(GROUP_ROWS) or 0 for group in footer.row_groups) != footer.rows:
        raise ParquetInvalid(
            f"The Parquet row groups do not add up to {footer.rows} rows; the metadata is damaged."
        )
    return footer


def shift(group: Struct, by: int, end: int) -> None:
    """Change the offsets of a row group as if *by* bytes had been put before its file.

    All but those of offset indexes, which are written anew (:func:`shift_index`).

    Args:
        group: The row group; changed in place.
        by: In bytes, 0 or more.
        end: The size of the group's file without its footer: an offset must lie before it.

    An offset of 0 points at nothing (a chunk without pages, a deprecated field) and stays 0.

    Raises:
        ParquetInvalid: An offset is not in the file, or a column has no metadata.
    """
    _move(group, GROUP_OFFSET, by, end)
    for chunk in group.structs(COLUMNS):
        for field in (CHUNK_OFFSET, COLUMN_INDEX):
            _move(chunk, field, by, end)
        meta = chunk.fields.get(META, (0, None))[1]
        if not isinstance(meta, Struct):
            raise ParquetInvalid("A column of the Parquet file has no metadata; the file is damaged.")
        for field in (DATA_PAGE, INDEX_PAGE, DICTIONARY_PAGE, BLOOM_FILTER):
            _move(meta, field, by, end)


def index_range(chunk: Struct) -> tuple[int, int] | None:
    """Return where the offset index of a column chunk begins and its size in bytes, or None without one."""
    start, size = chunk.integer(OFFSET_INDEX), chunk.integer(OFFSET_INDEX_SIZE)
    return (start, size) if start and size else None


def shift_index(index: bytes, by: int) -> bytes:
    """Return an offset index with all pages *by* bytes later; nothing else outside footers has offsets."""
    tree = decode(index, _INDEX_SHAPE)
    for page in tree.structs(_PAGE_LOCATIONS):
        offset = page.integer(_PAGE_OFFSET)
        if offset is None:
            raise ParquetInvalid("A page in an offset index has no offset; the file is damaged.")
        page.replace(_PAGE_OFFSET, offset + by)
    return encode(tree)


def structs_of(raw: bytes, shape: Shape | None = None) -> list[Struct]:
    """Open a list of structs that was kept as it is encoded, as far as *shape* says: None, to the bottom."""
    value = decode(bytes((1 << 4 | LIST,)) + raw + b"\0", {1: shape}).fields[1][1]
    return [item for item in value.items if isinstance(item, Struct)] if isinstance(value, Items) else []


def refuse_absent(chunk: Struct) -> None:
    """Raise ``ParquetInvalid`` if the pages of a column chunk are encrypted, or in another file."""
    if any(field in chunk.fields for field in _CHUNK_CRYPTO):
        raise ParquetInvalid(
            "A column of the Parquet file is encrypted; it cannot be joined. Write it unencrypted."
        )
    if FILE_PATH in chunk.fields:
        raise ParquetInvalid(
            "The Parquet file has its data in other files (a _metadata file?); it cannot be joined."
        )


def _move(struct: Struct, field: int, by: int, end: int) -> None:
    offset = struct.integer(field)
    if not offset:
        return
    if not len(MAGIC) <= offset <= end:
        raise ParquetInvalid(f"The Parquet metadata points at byte {offset} of {end}; it is damaged.")
    struct.replace(field, offset + by)
