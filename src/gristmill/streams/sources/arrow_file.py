"""Arrow IPC files (Feather version 2 is the same) and streams as sources: chunks of record batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import pyarrow as pa

from gristmill.errors import SourceError
from gristmill.streams.formats.parquet_chunks import Stored
from gristmill.streams.sources.parquet_file import check_unchanged
from gristmill.streams.sources.protocol import ReaderRecipe
from gristmill.streams.sources.readable import Readable
from gristmill.streams.sources.table_files import Block
from gristmill.streams.sources.table_reader import TableRecipe

_FILE_MAGIC = b"ARROW1"


class ArrowForm:
    """Arrow IPC; see ``TableForm``."""

    name = "arrow"

    def look(self, path: str) -> tuple[Sequence[Block], bytes]:
        """Return the record batches of a file and its schema."""
        try:
            with pa.memory_map(path) as file:
                schema, batches = _batches(file)
                blocks = [Block(rows=batch.num_rows, size=max(1, batch.nbytes // 4)) for batch in batches]
                return blocks, schema.remove_metadata().serialize().to_pybytes()
        except (OSError, pa.ArrowException) as error:
            raise SourceError(f"{path} is no Arrow file that can be read: {error}") from error

    def recipe(
        self,
        files: Sequence[Readable],
        blocks: Sequence[Sequence[int]],
        schema: bytes,
        select: Mapping[str, str],
        *,
        whole: Sequence[AbstractSet[int]],
    ) -> ReaderRecipe:
        """Return what reads chunks in workers."""
        return TableRecipe(
            opener=open_arrow, files=files, blocks=blocks, schema=schema, select=select, whole=whole
        )


def _batches(file: Any) -> tuple[Any, list[Any]]:
    """Return the schema and the batches of a file or stream; their memory is the file's, read when used."""
    if file.read(len(_FILE_MAGIC)) == _FILE_MAGIC:
        reader = pa.ipc.open_file(file)
        return reader.schema, [reader.get_batch(index) for index in range(reader.num_record_batches)]
    file.seek(0)
    stream = pa.ipc.open_stream(file)
    return stream.schema, list(stream)


def open_arrow(file: Readable) -> OpenArrow:
    """Return *file*, open."""
    return OpenArrow(file)


class OpenArrow:
    """An Arrow file that is mapped into memory."""

    def __init__(self, file: Readable) -> None:
        check_unchanged(file)
        self._file = file
        self._map = pa.memory_map(file.path)
        _, self._batches = _batches(self._map)

    def block(self, index: int, columns: Sequence[str]) -> Any:
        """Return *columns* of one record batch."""
        check_unchanged(self._file)
        return self._batches[index].select(list(columns))

    def stored(self, index: int) -> Stored:  # noqa: ARG002 - as Parquet has it
        """Return nothing: batches are not copied."""
        return {}
