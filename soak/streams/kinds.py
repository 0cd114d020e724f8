"""The kinds of outputs that runs are killed at, and the ways they are reached."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq

from soak.streams.mill import BAD

Row: TypeAlias = tuple[int, str, int]
"""The id, the text and the double of a result."""


@dataclass(frozen=True, slots=True)
class Way:
    """How rows come to an output.

    Attributes:
        handler: Of ``soak/streams/mill.py``.
        source: The input.
        is_ordered: Whether they keep their order.
    """

    handler: str
    source: str
    is_ordered: bool = True

    def passes(self, number: int) -> bool:
        """Tell whether the handler lets the row of *number* pass."""
        return number % 3 == 0 if self.handler == "few" else number % BAD != 0

    def __str__(self) -> str:
        return f"{self.handler} of {self.source}, {'ordered' if self.is_ordered else 'unordered'}"


@dataclass(frozen=True, slots=True)
class Kind:
    """An output.

    Attributes:
        name: Of the file; of a database its kind; ``folder`` is one of Parquet.
        content: What an output holds, to be compared with that of a run nobody killed.
        rows: The results in what ``content`` returns.
        ways: Those that lead to it.
        words: Options of the command.
    """

    name: str
    content: Callable[[str], Any]
    rows: Callable[[Any], list[Row]]
    ways: tuple[Way, ...]
    words: tuple[str, ...] = ()

    @property
    def output(self) -> str:
        """What the command is told, where it is no table."""
        return f"{self.name}/" if self.name == "folder" else self.name

    @property
    def is_database(self) -> bool:
        """Whether it is a table."""
        return self.name in ("postgres", "sqlite")


_BOTH = (
    Way("rows", "in.csv"),
    Way("columns", "in.parquet"),
    Way("rows", "in.ndjson", is_ordered=False),
    Way("columns", "in.csv.gz", is_ordered=False),
)
_ROWS = (Way("rows", "in.csv"), Way("rows", "in.parquet", is_ordered=False))


def _plain(name: str) -> bytes:
    return Path(name).read_bytes()


def _gzip(name: str) -> bytes:
    return gzip.decompress(_plain(name))


def _zstd(name: str) -> bytes:
    with pa.CompressedInputStream(io.BytesIO(_plain(name)), "zstd") as stream:
        found: bytes = stream.read()
    return found


def _parquet(name: str) -> Any:
    return pq.read_table(name)


def _folder(name: str) -> Any:
    """Read the parts the manifest lists, which must be all there is."""
    folder = Path(name)
    listed = json.loads((folder / "_manifest.json").read_text())["parts"]
    there = sorted(each.name for each in folder.iterdir())
    expected = sorted([each["name"] for each in listed] + ["_manifest.json", "_gristmill.journal"])
    if there != expected:
        raise AssertionError(f"{name} has {there}, not {expected}")
    parts = [pq.read_table(folder / each["name"]) for each in listed]
    if [part.num_rows for part in parts] != [each["rows"] for each in listed]:
        raise AssertionError(f"the manifest of {name} counts other rows than its parts have")
    return pa.concat_tables(parts)


def _arrow(name: str) -> Any:
    return pa.ipc.open_file(_plain(name)).read_all()


def _stream(name: str) -> Any:
    return pa.ipc.open_stream(_plain(name)).read_all()


def _of_csv(content: bytes) -> list[Row]:
    found = csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True)
    return [(int(row["id"]), row["text"], int(row["double"])) for row in found]


def _of_lines(content: bytes) -> list[Row]:
    return [(row["id"], row["text"], row["double"]) for row in map(json.loads, content.splitlines())]


def _of_table(content: Any) -> list[Row]:
    return list(zip(*(content[name].to_pylist() for name in ("id", "text", "double")), strict=True))


def sql(url: str, text: str) -> list[Any]:
    """Return the rows of a statement at a database."""
    if url.startswith("sqlite"):
        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.set_busy_timeout(5000)
        try:
            return list(connection.execute(text))
        finally:
            connection.close()

    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return list(map(tuple, await connection.fetch(text)))
        finally:
            await connection.close()

    return asyncio.run(run())


def _of_database(output: str) -> list[Row]:
    url, _, table = output.rpartition("#")
    return sql(url, f"SELECT id, text, double FROM {table} ORDER BY id")  # noqa: S608 - our own name


def _as_they_are(content: Any) -> list[Row]:
    return list(content)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("out.csv", _plain, _of_csv, _BOTH),
        Kind("out.ndjson", _plain, _of_lines, _BOTH),
        Kind("out.csv.gz", _gzip, _of_csv, _BOTH),
        Kind("out.ndjson.zst", _zstd, _of_lines, _BOTH),
        Kind("out.parquet", _parquet, _of_table, _BOTH),
        Kind("folder", _folder, _of_table, _BOTH, ("--part-bytes", "20000")),
        Kind("out.arrow", _arrow, _of_table, _BOTH),
        Kind("out.arrows", _stream, _of_table, _BOTH),
        Kind(
            "letters",
            _plain,
            _of_lines,
            (Way("few", "in.csv"), Way("few", "in.dead.ndjson"), Way("few", "in.csv", is_ordered=False)),
            ("--output-format", "ndjson"),
        ),
        Kind("sqlite", _of_database, _as_they_are, _ROWS),
        Kind("postgres", _of_database, _as_they_are, _ROWS),
    )
}
"""By the name of the output; ``letters`` is of dead letters in a file of another place."""
