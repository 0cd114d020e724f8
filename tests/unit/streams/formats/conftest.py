from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator

import pytest

from gristmill.errors import MalformedInput
from gristmill.streams.formats.csv_cutting import cut
from gristmill.streams.formats.csv_records import check_quotes
from gristmill.streams.formats.dialect import Dialect

Chunks = Callable[[bytes, Dialect, int], list[bytes]]
Rows = Callable[[bytes, Dialect], list[list[str]]]


def _cut_file(data: bytes, dialect: Dialect, target: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = target
        while True:
            end = cut(data[at : at + size], dialect, is_last=at + size >= len(data))
            if end is not None:
                break
            size *= 2
        assert 0 < end <= size
        yield data[at : at + end]
        at += end


@pytest.fixture(scope="session")
def chunks() -> Chunks:
    """Cuts a file as the planner does: windows of a size, grown where no record ends in one."""

    def cut_file(data: bytes, dialect: Dialect, target: int) -> list[bytes]:
        return list(_cut_file(data, dialect, target))

    return cut_file


@pytest.fixture(scope="session")
def one_pass() -> Rows:
    """The module csv reads the whole file at once."""

    def read(data: bytes, dialect: Dialect) -> list[list[str]]:
        reader = csv.reader(
            io.StringIO(data.decode(), newline=""),
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_NONE if dialect.quoting == "none" else csv.QUOTE_MINIMAL,
            strict=dialect.quoting == "rfc4180",
        )
        return list(reader)

    return read


@pytest.fixture(scope="session")
def in_chunks(chunks: Chunks, one_pass: Rows) -> Callable[[bytes, Dialect, int], list[list[str]]]:
    """The module csv reads chunk by chunk, each checked first where the dialect wants that."""

    def read(data: bytes, dialect: Dialect, target: int) -> list[list[str]]:
        rows = []
        for chunk in chunks(data, dialect, target):
            if dialect.quoting == "rfc4180" and (at := check_quotes(chunk, dialect)) is not None:
                raise MalformedInput("quotes", offset=at)
            rows += one_pass(chunk, dialect)
        return rows

    return read
